"""A lost connection loses no event, a wrong frame changes nothing, a wrong order is refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import pytest

from ..callers import Caller, Json, Platform, Tenant
from ..figures import Figures
from ..wire import Socket
from .conftest import Way
from .runs import ASKED, FIVE, RESULTS, TOOL, Stepwise, kinds

pytestmark = pytest.mark.scenario("websocket", "error handling")

RECOVERED_MS: Final = 10_000
_MALFORMED: Final[Sequence[tuple[str | bytes, str]]] = [
    ("", "invalid_request"),
    ("{", "invalid_request"),
    ("[]", "invalid_request"),
    ('"subscribe"', "invalid_request"),
    ('{"id":1}', "invalid_request"),
    ('{"id":1,"type":7}', "invalid_request"),
    ('{"id":1,"type":"agent_completed"}', "unknown_type"),
    ('{"id":1,"type":"user_message"}', "invalid_request"),
    ('{"id":1,"type":"user_message","thread_id":"%s","content":7}', "invalid_request"),
    ('{"id":1,"type":"user_message","thread_id":"%s","content":"\\u0000"}', "invalid_request"),
    ('{"id":1,"type":"user_message","thread_id":"%s","content":"x","y":1}', "invalid_request"),
    ('{"id":1,"type":"subscribe","thread_id":"%s","cursor":"nowhere"}', "invalid_request"),
    ('{"id":1,"type":"ping","x":"' + "x" * 300_000 + '"}', "too_large"),
    (b'{"id":1,"type":"ping","x":"\xff"}', "invalid_request"),
]


async def test_a_drop_after_any_event_loses_none(
    way: Way, operator: Platform, tenant: Tenant, figures: Figures
) -> None:
    """The next connection, to the other process, gets what is missing from the cursor on."""
    drops = []
    for point in range(1, 1 + len(FIVE)):
        await operator.agent(tenant, f"stepwise-{point}", "worker")
        drops.append(_drop_after(tenant, point))
    done = await asyncio.gather(*drops)

    for seen, log, _ in done:
        assert kinds(seen) == FIVE
        assert len({frame["id"] for frame in seen}) == len(FIVE), "an event came twice"
        assert seen == log
    figures.record(f"{way.name}: events with a drop at each point", 25, n=len(done))
    slowest = max(seconds for _, _, seconds in done)
    name, limit = f"{way.name}: recovered after", RECOVERED_MS
    figures.judge(name, slowest * 1000, "ms", n=len(done), below=limit)


async def _drop_after(tenant: Tenant, point: int) -> tuple[list[Json], list[Json], float]:
    """All frames of a run, its log, and the seconds from the drop to the last missed frame.

    Up to two events are written while nobody listens, the others after the new connection.
    """
    user = tenant.user(f"user-{point}")
    thread = await user.create()
    run = Stepwise(user, tenant.worker(), f"stepwise-{point}")
    seen: list[Json] = []
    async with user.socket() as socket:
        await _resume(socket, thread["id"], thread["cursor"])
        for _ in range(point):
            await run.advance(thread["id"])
            seen.append(await socket.next())
        socket.connection.transport.abort()
        dropped = time.monotonic()
    unheard = min(2, len(FIVE) - point)
    for _ in range(unheard):
        await run.advance(thread["id"])
    async with tenant.user(f"user-{point}", at=1).socket() as socket:
        await _resume(socket, thread["id"], f"{seen[-1]['epoch']}-{seen[-1]['seq']}")
        for _ in range(unheard):
            seen.append(await _following(socket, seen))
        seconds = time.monotonic() - dropped
        for _ in range(point + unheard, len(FIVE)):
            await run.advance(thread["id"])
            seen.append(await _following(socket, seen))
        await socket.command("ping")
        seen += socket.frames
    log = await user.entries(thread["id"])
    return seen, log[thread["last_seq"] :], seconds


async def _resume(socket: Socket, thread: str, cursor: str) -> None:
    answer = await socket.command("subscribe", thread_id=thread, cursor=cursor)
    assert answer.get("verdict") == "resumed", answer


async def _following(socket: Socket, seen: list[Json]) -> Json:
    frame = await socket.next()
    assert frame["seq"] == seen[-1]["seq"] + 1, "not the next event"
    return frame


async def test_malformed_frames_are_answered_and_change_nothing(
    way: Way, tenant: Tenant, figures: Figures
) -> None:
    user = tenant.user("ann")
    thread = (await user.create(title="as it was"))["id"]
    await user.say(thread, "as it was")
    before = await _everything(user, thread)
    async with user.socket() as socket:
        await socket.command("subscribe", thread_id=thread, after_seq=2)
        told = [await _answer_to(socket, frame, thread) for frame, _ in _MALFORMED]
        assert told == [code for _, code in _MALFORMED]
        await socket.connection.send(b"\x00binary")
        assert (await socket.next())["error"]["code"] == "invalid_request"
        assert (await socket.command("ping"))["type"] == "ok"
        assert socket.frames == []
        assert await _everything(user, thread) == before

        said = await socket.command("user_message", thread_id=thread, content="still open")
        assert (await socket.next())["seq"] == said["seq"] == 3
    figures.record(f"{way.name}: malformed frames", len(told) + 1, n=len(told) + 1)


async def _answer_to(socket: Socket, frame: str | bytes, thread: str) -> str:
    """The code of the error that answers a frame."""
    if isinstance(frame, str):
        frame = frame.replace("%s", thread).encode()
    await socket.connection.send(frame, text=True)
    answer = await socket.next()
    assert answer["type"] == "error", answer
    return str(answer["error"]["code"])


async def test_events_out_of_order_are_refused(
    way: Way, operator: Platform, tenant: Tenant, figures: Figures
) -> None:
    """Completed before it started, answered before it was called, and anything after the end."""
    await operator.agent(tenant, "stepwise", "worker")
    user = tenant.user("ann")
    thread = (await user.create())["id"]
    run = Stepwise(user, tenant.worker(), "stepwise")
    await run.advance(thread)
    before = await _everything(user, thread)

    refused = [await run.held("complete", 409, response="before it has a holder")]
    assert await _everything(user, thread) == before
    await run.advance(thread)
    before = await _everything(user, thread)
    answered = {"type": "tool_completed", "payload": {"call_id": "c1", "results": RESULTS}}
    ended = {"type": "agent_completed", "payload": {"status": "completed"}}
    again = {"type": "agent_started", "payload": {}}
    refused += [await run.held("events", 409, events=[each]) for each in (answered, ended, again)]
    called = {"tool_name": TOOL, "call_id": "c1", "tool_input": ASKED}
    twice = [{"type": "tool_executing", "payload": called}] * 2
    refused.append(await run.held("events", 409, events=twice))
    assert await _everything(user, thread) == before
    await run.advance(thread)
    before = await _everything(user, thread)
    refused.append(await run.held("complete", 409, response="with an open call"))
    assert await _everything(user, thread) == before
    for _ in FIVE[3:]:
        await run.advance(thread)
    before = await _everything(user, thread)
    late = {"type": "agent_thinking", "payload": {"thought": "too late"}}
    refused.append(await run.held("events", 409, events=[late]))

    assert await _everything(user, thread) == before
    assert {each["error"]["code"] for each in refused} == {"conflict", "stale_fence"}
    assert kinds(before[1]) == ["thread_created", *FIVE]
    figures.record(f"{way.name}: events out of order refused", len(refused), n=len(refused))


async def _everything(user: Caller, thread: str) -> tuple[Json, list[Json], list[Json]]:
    """A thread, its log and its runs: equal to an earlier answer when nothing changed."""
    shown, log = await user.thread(thread), await user.entries(thread)
    del shown["last_activity_at"]  # follows by itself what was appended, up to a second later
    return shown, log, await user.pages(f"/v1/threads/{thread}/runs")
