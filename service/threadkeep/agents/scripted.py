"""Plays a declared list of steps. The run's own events say which step comes next.

Every step leaves something in the log that names it, but for waits; so a new holder goes on after
the last step that was finished, and no message is written twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import UNSET

from threadkeep.agents.handle import Handle, ToolError
from threadkeep.domain import events
from threadkeep.domain.entries import MESSAGE, Entry
from threadkeep.domain.run_payloads import Executing
from threadkeep.domain.runs import INTERRUPTED_CALL
from threadkeep.domain.scripts import ActionStep, SayStep, Script, Step, ThinkStep, parse_script
from threadkeep.domain.scripts import ToolStep as Tool
from threadkeep.errors import InvalidRequest

_STEP: Final = "step-"


class Scripted:
    """Plays runs of agents of the kind `scripted`."""

    async def play(self, handle: Handle) -> None:
        """One run from its next step to its end, or to a step that the user must answer."""
        try:
            script = parse_script(handle.claimed.settings)
        except InvalidRequest as exc:
            await handle.fail(f"The script is wrong: {exc.message}")
            return
        first = next_step(script, handle)
        for number in range(first, len(script.steps)):
            if not await _play(handle, number, script.steps[number]):
                return
        said = [step for step in script.steps if step.say is not None]
        response = _say_step(said[-1]).text if said else None
        await handle.complete(response, usage={"steps": len(script.steps)})


def next_step(script: Script, handle: Handle) -> int:
    """The number of the step after the last one that the log says is finished."""
    messages = {
        handle.message_id(n): n for n, step in enumerate(script.steps) if step.say is not None
    }
    done = (_finished(entry, messages) for entry in handle.claimed.events)
    return max((number for number in done if number is not None), default=-1) + 1


def _finished(entry: Entry, messages: dict[str, int]) -> int | None:
    """The step that an entry is the end of."""
    if entry.kind == MESSAGE:
        return messages.get(entry.id)
    payload: dict[str, Any] = msgspec.json.decode(entry.body)
    if entry.kind == events.THINKING:
        return _number(payload.get("current_step", ""))
    if entry.kind == events.TOOL_COMPLETED and payload.get("error") != INTERRUPTED_CALL:
        return _number(payload["call_id"])
    return None


def _number(name: str) -> int | None:
    """The step that `step-7` or `step-7.2` names."""
    digits = name.removeprefix(_STEP).partition(".")[0]
    return int(digits) if name.startswith(_STEP) and digits.isdigit() else None


async def _play(handle: Handle, number: int, step: Step) -> bool:
    """Play one step; False when the run has ended or waits for the user."""
    if step.fail is not None:
        await handle.fail(step.fail)
        return False
    if step.require_action is not None:
        calls = _calls(handle, number, step.require_action)
        await handle.require_action(list(calls), step.require_action.reason)
        return False
    if step.think is not None:
        await _think(handle, number, step.think)
    elif step.tool is not None:
        await _use(handle, number, step.tool)
    elif step.say is not None:
        await _say(handle, number, _say_step(step))
    else:
        await asyncio.sleep((step.wait_ms or 0) / 1000)
    return True


async def _think(handle: Handle, number: int, step: str | ThinkStep) -> None:
    given = ThinkStep(step) if isinstance(step, str) else step
    await handle.think(given.thought, step=f"{_STEP}{number}", progress=given.progress_percentage)


async def _use(handle: Handle, number: int, step: Tool) -> None:
    async def work() -> object:
        await asyncio.sleep(step.after_ms / 1000)
        if step.error is not UNSET:
            raise ToolError(step.error)
        return step.results

    call_id = f"{_STEP}{number}.{handle.run.fence}"
    try:
        await handle.use_tool(step.name, step.input, work, call_id=call_id)
    except ToolError:
        return  # as declared


async def _say(handle: Handle, number: int, step: SayStep) -> None:
    for start in range(0, len(step.text), step.piece):
        await handle.delta(handle.message_id(number), step.text[start : start + step.piece])
        if step.every_ms:
            await asyncio.sleep(step.every_ms / 1000)
    await handle.say(step.text, number)


def _say_step(step: Step) -> SayStep:
    said = step.say
    return said if isinstance(said, SayStep) else SayStep(said or "")


def _calls(handle: Handle, number: int, step: ActionStep) -> Iterable[Executing]:
    for n, call in enumerate(step.calls):
        call_id = f"{_STEP}{number}.{handle.run.fence}.{n}"
        yield Executing(call.tool_name, call_id, call.tool_input)
