"""What an agent of this process holds: one claimed run, and the ways to write it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from threadkeep.domain import ids
from threadkeep.domain.principals import Principal, system_principal
from threadkeep.domain.run_payloads import (
    Executing,
    HolderEvent,
    MessageDelta,
    RequiresAction,
    RunMessage,
    Thinking,
    ToolCompleted,
)
from threadkeep.domain.runs import Claimed
from threadkeep.errors import ThreadkeepError
from threadkeep.services.runs import Runs

FLUSH_SECONDS: Final = 0.25
"""Text that streams is kept at least this often: what a crash can take of it."""
FLUSH_CHARACTERS: Final = 4096
"""… or as soon as there is this much of it."""


class RunCancelledError(Exception):
    """Somebody asked for the run to be cancelled."""


class ToolError(Exception):
    """A tool has no results; its text is for the user."""


class Handle:
    """One run as its agent sees it.

    Every method raises `StaleFence` once the lease is lost and `RunCancelledError` once the run
    is to be cancelled; an agent lets both pass.
    """

    def __init__(self, runs: Runs, claimed: Claimed) -> None:
        self.claimed = claimed
        self.run = claimed.run
        self.principal: Principal = system_principal(self.run.tenant, self.run.owner)
        """Agents read as the owner of the thread, hence never another user's messages."""
        self._holders = runs.holders
        self._writing = asyncio.Lock()
        self._buffer: list[str] = []
        self._message: str | None = None
        self._flushed_at = 0.0
        self._timer: asyncio.Task[None] | None = None

    def message_id(self, part: int = 0) -> str:
        """Digits of the id of a message of this run: the same for every holder.

        So a message that a dead holder has finished is not written twice.
        """
        mixed = hashlib.blake2b(f"{self.run.id}/{part}".encode(), digest_size=16).hexdigest()
        # A UUIDv7 with the time of the run.
        return f"{self.run.id[:12]}7{mixed[:3]}8{mixed[3:18]}"

    async def think(
        self, thought: str, *, step: str | None = None, progress: float | None = None
    ) -> None:
        """agent_thinking."""
        await self.write(Thinking(thought, progress, step))

    async def use_tool(
        self,
        name: str,
        given: dict[str, Any],
        tool: Callable[[], Awaitable[object]],
        *,
        call_id: str | None = None,
    ) -> object:
        """Run a tool between its two events; what it raises as `ToolError` is its result."""
        call_id = call_id or f"call_{ids.new_id()}"
        await self.write(Executing(name, call_id, given))
        try:
            results = await tool()
        except ToolError as exc:
            await self.write(ToolCompleted(call_id, error=str(exc)))
            raise
        await self.write(ToolCompleted(call_id, results=results))
        return results

    async def require_action(self, calls: Sequence[Executing], reason: str | None) -> None:
        """Leave tool calls to the user; the run is let go and comes back with their outputs."""
        await self.write(*calls, RequiresAction(reason))

    async def delta(self, message: str, text: str) -> None:
        """The next piece of a message that streams; kept by 250 ms or 4 KB."""
        if message != self._message:
            await self._flush()
            self._message = message
        self._buffer.append(text)
        waited = asyncio.get_running_loop().time() - self._flushed_at
        if waited >= FLUSH_SECONDS or sum(map(len, self._buffer)) >= FLUSH_CHARACTERS:
            await self._flush()
        elif self._timer is None or self._timer.done():
            if self._timer is not None:
                self._timer.result()  # raises what the last one met
            self._timer = asyncio.create_task(self._flush_after(FLUSH_SECONDS - waited))

    async def say(self, text: str, part: int = 0, metadata: dict[str, Any] | None = None) -> None:
        """A whole message in the middle of the run."""
        await self.write(self.message(text, part, metadata))

    def message(
        self, text: str, part: int = 0, metadata: dict[str, Any] | None = None
    ) -> RunMessage:
        """The run's message number `part`."""
        return RunMessage(content=text, message_id=self.message_id(part), metadata=metadata or {})

    async def complete(
        self, response: object, *, message: RunMessage | None = None, usage: dict[str, Any]
    ) -> None:
        """End the run, with its last message in the same commit."""
        await self._settle()
        await self._holders.complete(
            self.run.place, self.claimed.fence, response=response, message=message, usage=usage
        )

    async def fail(self, error: str) -> None:
        """End the run as failed, or as cancelled where that was asked for."""
        await self._drop()
        await self._holders.fail(self.run.place, self.claimed.fence, error=error)

    async def interrupt(self, error: str) -> None:
        """End the run because its thread takes nothing any more."""
        await self._drop()
        await self._holders.interrupt(self.run.place, self.claimed.fence, error=error)

    async def hand_over(self) -> None:
        """Let go of the run: another holder goes on at once."""
        await self._drop()
        await self._holders.hand_over(self.run.place, self.claimed.fence)

    async def write(self, *given: HolderEvent) -> None:
        """Events in one commit, after the text that streams before them."""
        async with self._writing:
            await self._commit([*self._take(), *given])

    async def _flush(self) -> None:
        async with self._writing:
            if pieces := self._take():
                await self._commit(pieces)

    async def _commit(self, given: Sequence[HolderEvent]) -> None:
        written = await self._holders.append(self.run.place, self.claimed.fence, given)
        self._flushed_at = asyncio.get_running_loop().time()
        if written.cancel_requested:
            raise RunCancelledError

    def _take(self) -> list[HolderEvent]:
        text, self._buffer = "".join(self._buffer), []
        return [MessageDelta(self._message, text)] if text and self._message else []

    async def _flush_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._flush()

    async def _settle(self) -> None:
        """Stop the timer, not in the middle of a write, and raise what it met."""
        async with self._writing:
            timer, self._timer = self._timer, None
            self._buffer = []
            if timer is not None:
                timer.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await timer

    async def _drop(self) -> None:
        """Stop the timer whatever it met: the run ends or goes to another holder."""
        with contextlib.suppress(ThreadkeepError, RunCancelledError):
            await self._settle()
