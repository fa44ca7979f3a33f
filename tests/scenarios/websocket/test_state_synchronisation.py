"""What a frame tells is true by then: any process shows the state that the event led to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import pytest

from ..callers import Caller, Json, Platform, Tenant
from ..figures import Figures
from ..levels import Levels
from ..wire import Socket
from .conftest import Way
from .runs import ASKED, FIVE, RESULTS, THOUGHT, TOOL, Stepwise, make_player

pytestmark = [
    pytest.mark.scenario("websocket", "state synchronisation"),
    pytest.mark.timeout(600),
]

LANES: Final = 10
_PROCESSING: Final = {"queued", "running"}

SIX: Final = [
    ("active", None, []),
    ("processing", "agent_started", []),
    ("processing", "agent_thinking", []),
    ("processing", "tool_executing", ["c1"]),
    ("processing", "tool_completed", []),
    ("completed", "agent_completed", []),
]
"""What a thread is doing, its newest event, and the tool calls that are open."""


@dataclass
class Lane:
    """One user, one agent and one thread; runs follow each other, and the test is the worker."""

    user: Caller
    other: Caller
    """The same user at the other process: there the state is read."""
    worker: Caller
    agent: str
    runs: int
    read: int = 0

    async def follow(self) -> None:
        """Compare after each frame."""
        thread = await self.user.create()
        async with self.user.socket() as socket:
            answer = await socket.command("subscribe", thread_id=thread["id"], after_seq=1)
            assert answer.get("verdict") == "resumed", answer
            last = 1
            for _ in range(self.runs):
                last = await self._follow_one(socket, thread["id"], last)

    async def _follow_one(self, socket: Socket, thread: str, last: int) -> int:
        run = Stepwise(self.user, self.worker, self.agent)
        self._compare(SIX[0], await self._state(thread, last, run.run), "before")
        for expected in SIX[1:]:
            # Not awaited before the frame: what counts is the moment at which the frame comes.
            written = asyncio.create_task(run.advance(thread))
            frame = await socket.next()
            assert frame["type"] == expected[1]
            assert frame["seq"] > last, "seq does not rise"
            last = frame["seq"]
            self._compare(expected, await self._state(thread, last, frame["run_id"]), run.run)
            await written
            assert frame["run_id"] == run.run
        return last

    def _compare(self, expected: object, seen: object, where: str) -> None:
        self.read += 1
        assert seen == expected, f"{where}: {seen} instead of {expected}"

    async def _state(self, thread: str, seq: int, run: str) -> tuple[str, str | None, list[str]]:
        """What the other process shows of it; its log must end with the frame's entry."""
        path = f"/v1/threads/{thread}"
        page = await self.other.ask("GET", f"{path}/entries?after_seq={seq - 1}", 200)
        newest = (await self.other.ask("GET", f"{path}/runs?limit=1", 200))["data"]
        seqs = [page["last_seq"], *(entry["seq"] for entry in page["data"])]
        if seqs != [seq, seq]:
            return (f"at {seqs} after {seq}", None, [])
        if not newest or newest[0]["id"] != run:
            return ("active", None, [])
        status = newest[0]["status"]
        doing = "processing" if status in _PROCESSING else status
        return (doing, page["data"][0]["type"], newest[0]["open_calls"])


async def test_six_states_are_read_through_the_other_process(
    way: Way, operator: Platform, tenant: Tenant, levels: Levels, figures: Figures
) -> None:
    """Half of the runs are written through the process that has the socket, half through its peer.

    The product has no column that says `processing`: a thread is processing while a run of it
    is queued or running, and each state is told apart by the run and by the newest entry.
    """
    lanes = [await _lane(operator, tenant, n, -(-levels.runs // LANES)) for n in range(LANES)]
    await asyncio.gather(*(lane.follow() for lane in lanes))

    read = sum(lane.read for lane in lanes)
    runs = sum(lane.runs for lane in lanes)
    assert (runs >= levels.runs, read) == (True, 6 * runs)
    figures.record(f"{way.name}: runs followed", runs, n=runs)
    figures.record(f"{way.name}: states read through the other process", read, n=read)
    figures.record(f"{way.name}: mismatches", 0, n=read)


async def _lane(operator: Platform, tenant: Tenant, number: int, runs: int) -> Lane:
    agent = f"stepwise-{number}"
    await operator.agent(tenant, agent, "worker")
    at = number % 2
    name = f"user-{number}"
    return Lane(
        user=tenant.user(name, at=at),
        other=tenant.user(name, at=at + 1),
        worker=tenant.worker(at=number // 2),
        agent=agent,
        runs=runs,
    )


async def test_what_a_run_leaves_behind_is_what_its_events_told(
    operator: Platform, tenant: Tenant
) -> None:
    """While it runs its thread is busy; afterwards it is not, and the results are all there."""
    await operator.agent(tenant, "stepwise", "worker")
    user, other = tenant.user("ann"), tenant.user("ann", at=1)
    thread = (await user.create())["id"]
    run = Stepwise(user, tenant.worker(at=1), "stepwise")
    path = f"/v1/threads/{thread}/runs"
    for _ in FIVE[:-1]:
        await run.advance(thread)
        busy = await other.ask("POST", path, 409, json={"agent": "stepwise"})
        assert run.run in str(busy["error"])
        assert [each["id"] for each in (await snapshot(other, thread))["active_runs"]] == [run.run]
    await run.advance(thread)

    left = await snapshot(other, thread)
    payloads = {e["type"]: e["payload"] for e in left["entries"] if e["run_id"] == run.run}
    shown = await other.ask("GET", f"/v1/runs/{run.run}", 200)
    assert left["thread"]["state"] == "active"
    assert left["active_runs"] == []
    assert (shown["status"], shown["agent"], shown["open_calls"]) == ("completed", "stepwise", [])
    assert shown["created_at"] <= shown["started_at"] <= shown["ended_at"]
    assert payloads["agent_thinking"] == THOUGHT
    assert payloads["tool_executing"]["tool_input"] == ASKED
    assert payloads["tool_completed"]["tool_name"] == TOOL
    assert payloads["tool_completed"]["results"] == RESULTS
    assert payloads["agent_completed"]["response"] == RESULTS
    times = [entry["ts"] for entry in left["entries"]]
    assert times == sorted(set(times))


async def test_every_snapshot_fits_the_events_that_it_holds(
    way: Way, operator: Platform, tenant: Tenant, levels: Levels, figures: Figures
) -> None:
    """Taken at any moment of runs that nobody paces: no event without its state, nor the reverse.

    Several runs of a thread are asked for at once, so that one is played while others wait.
    """
    agent = await make_player(operator, tenant)
    taken = [
        each
        for number in range(-(-levels.runs // LANES))
        for each in await _snapshots_of(tenant, f"user-{number}", agent)
    ]

    wrong = [(_active(each), told) for each in taken if _active(each) != (told := _told(each))]
    assert wrong == []
    assert any(_active(each) for each in taken)
    figures.record(f"{way.name}: snapshots that fit their events", len(taken), n=len(taken))


async def _snapshots_of(tenant: Tenant, name: str, agent: str) -> list[Json]:
    """Snapshots by one process of ten runs of a thread that were asked for at the other."""
    user, taken = tenant.user(name), list[Json]()
    thread = (await user.create())["id"]
    asked = {"agent": agent, "if_busy": "enqueue"}
    async with tenant.user(name, at=1).socket() as socket:
        for _ in range(LANES):
            await user.ask("POST", f"/v1/threads/{thread}/runs", 201, json=asked)
            taken.append(await _snapshot(socket, thread))
        async with asyncio.timeout(60):
            while taken[-1]["active_runs"]:
                taken.append(await _snapshot(socket, thread))
    return taken


async def snapshot(user: Caller, thread: str) -> Json:
    """The thread at one moment, as its user's new socket is told of it."""
    async with user.socket() as socket:
        return await _snapshot(socket, thread)


async def _snapshot(socket: Socket, thread: str) -> Json:
    answer = await socket.command("subscribe", thread_id=thread)
    assert answer.get("verdict") == "snapshot", answer
    frames = await socket.until(lambda frame: frame["type"] == "snapshot")
    payload: Json = frames[-1]["payload"]
    assert payload["last_seq"] == payload["entries"][-1]["seq"]
    return payload


def _active(taken: Json) -> dict[str, list[str]]:
    """Runs that have not ended and their open calls, by the state of the runs."""
    return {run["id"]: run["open_calls"] for run in taken["active_runs"]}


def _told(taken: Json) -> dict[str, list[str]]:
    """The same by the events."""
    told: dict[str, list[str]] = {}
    for entry in taken["entries"]:
        payload = entry["payload"]
        match entry["type"]:
            case "run_queued":
                told[payload["run_id"]] = []
            case "agent_started":
                told[entry["run_id"]] = []
            case "tool_executing":
                told[entry["run_id"]].append(payload["call_id"])
            case "tool_completed":
                told[entry["run_id"]].remove(payload["call_id"])
            case "agent_completed":
                del told[entry["run_id"]]
            case _:
                pass
    return told
