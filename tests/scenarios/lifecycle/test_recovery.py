"""A run whose holder was killed is found, given to another, and ends once."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest

from ...support.waiting import until
from ..callers import Caller, Json, Platform, Refused, Tenant
from ..figures import Figures
from ..reporting.surroundings import ROOT
from ..stage import Stage

pytestmark = [
    pytest.mark.scenario("lifecycle", "recovery after interruption"),
    pytest.mark.timeout(240),
]

RUNS, TRIES = 8, 3
WORK_SECONDS = 6
FOUND_SECONDS = 15.0
RESUMED_SECONDS = 30.0
CHECKPOINT = {"conversation_step": "data_analysis", "partial_results": {"cost_identified": 5000}}


async def test_a_killed_workers_run_goes_on_from_its_last_event(
    operator: Platform, tenant: Tenant, figures: Figures
) -> None:
    await operator.agent(tenant, "analyst", "worker")
    user = tenant.user("ann")
    thread = (await user.create())["id"]
    question = {"content": "What does it cost?"}
    asked = {"agent": "analyst", "input": CHECKPOINT, "message": question}
    started = await user.ask("POST", f"/v1/threads/{thread}/runs", 201, json=asked)
    run = started["run"]["id"]
    async with holding(tenant) as claim:
        assert claim["run"] == run
    killed = time.monotonic()
    await until(lambda: has_left(user, run), RESUMED_SECONDS, what="the interrupted run")
    figures.judge("found after", time.monotonic() - killed, "s", n=1, below=FOUND_SECONDS)

    second = tenant.worker(at=1)
    body = {"worker": "second", "agents": ["analyst"], "wait_seconds": 20}
    taken = await second.ask("POST", "/v1/worker/claim", 200, json=body)
    figures.record("resumed after", time.monotonic() - killed, "s", n=1)
    assert time.monotonic() - killed <= RESUMED_SECONDS
    assert taken["run"]["id"] == run
    assert taken["run"]["input"] == CHECKPOINT
    assert taken["run"]["attempt"] == 2
    results = [e for e in taken["run"]["events"] if e["type"] == "tool_completed"]
    assert [e["payload"]["results"] for e in results] == [{"cost_identified": 5000}]

    held = f"/v1/worker/runs/{run}"
    stale = await second.send(
        "POST", f"{held}/complete", json={"fence": claim["fence"], "response": "too late"}
    )
    assert (stale.status_code, stale.json()["error"]["code"]) == (409, "stale_fence")
    again = {"message_id": claim["message"], "content": "July costs 5000."}
    last = {"content": "So does August."}
    sent = [{"type": "message", "payload": payload} for payload in (again, last)]
    events = {"fence": taken["fence"], "events": sent}
    await second.ask("POST", f"{held}/events", 200, json=events)
    done = {"fence": taken["fence"], "response": "done"}
    await second.ask("POST", f"{held}/complete", 200, json=done)

    log = await user.entries(thread)
    assert_ended_once(log, run)
    texts = [entry["payload"]["content"] for entry in log if entry["type"] == "message"]
    assert texts == ["What does it cost?", "July costs 5000.", "So does August."]


async def test_runs_of_a_killed_process_are_finished_by_the_other(
    stage: Stage, figures: Figures
) -> None:
    """The agent is the service's own; the process that holds most runs is killed in the middle."""
    tenant = await stage.operator.tenant()
    # So long that a pod's end, which takes a moment, comes in the middle of it.
    steps = [{"think": "first"}, {"wait_ms": 1000 * WORK_SECONDS}, {"say": "the only answer"}]
    await stage.operator.agent(tenant, "player", "scripted", steps=steps)
    seconds, logs = await finished_after_a_kill(stage, tenant)
    for _ in range(TRIES - 1):
        if was_resumed(logs):
            break
        await stage.faults.start(0)  # the one that was killed held none of them
        seconds, logs = await finished_after_a_kill(stage, tenant)
    resumed = was_resumed(logs)

    assert resumed, "no process that was killed held any of the runs"
    for run, log in logs.items():
        assert_ended_once(log, run, resumes=int(run in resumed))
        texts = [entry["payload"]["content"] for entry in log if entry["type"] == "message"]
        assert texts == ["the only answer"]
    figures.record("all finished after the kill of their process", seconds, "s", n=len(resumed))


def was_resumed(logs: dict[str, list[Json]]) -> list[str]:
    """Runs that another process went on with."""
    return [run for run, log in logs.items() if "agent_resumed" in kinds(log)]


async def finished_after_a_kill(
    stage: Stage, tenant: Tenant
) -> tuple[float, dict[str, list[Json]]]:
    """Seconds from the kill to the end of all runs, and their logs; 0 stays killed."""
    user, other = tenant.user("ann"), tenant.user("ann", at=1)
    runs = dict(await asyncio.gather(*(started(user) for _ in range(RUNS))))
    waits = [until(partial(has, other, t, "agent_thinking"), 20) for t in runs.values()]
    await asyncio.gather(*waits)
    await stage.faults.kill(0)
    killed = time.monotonic()
    for run in runs:
        finished = partial(unless_cut, partial(has_ended, other, run))
        await until(finished, RESUMED_SECONDS + WORK_SECONDS, what="the finished run")
    seconds = time.monotonic() - killed
    return seconds, {run: await other.entries(thread) for run, thread in runs.items()}


async def started(user: Caller) -> tuple[str, str]:
    """(run, thread), over a connection of its own: an address may be that of several processes."""
    thread: str = (await user.create())["id"]
    path, body = f"/v1/threads/{thread}/runs", {"agent": "player"}
    answer = await user.ask("POST", path, 201, json=body, headers={"Connection": "close"})
    return answer["run"]["id"], thread


@asynccontextmanager
async def holding(tenant: Tenant) -> AsyncIterator[Json]:
    """A worker in a process of its own that holds a run; killed at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.scenarios.lifecycle.holder",
        tenant.urls[0],
        tenant.key,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        assert line, "the worker ended before it held a run"
        yield json.loads(line)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def has_left(user: Caller, run: str) -> bool:
    """Whether the service has found out that nobody holds the run."""
    status = (await user.ask("GET", f"/v1/runs/{run}", 200))["status"]
    assert status in {"running", "recovering"}
    return bool(status == "recovering")


async def has(user: Caller, thread: str, kind: str) -> bool:
    """Whether a thread's log holds an entry of a kind."""
    return kind in kinds(await user.entries(thread))


async def has_ended(user: Caller, run: str) -> bool:
    """Whether the run has come to its end."""
    return bool((await user.ask("GET", f"/v1/runs/{run}", 200))["status"] == "completed")


async def unless_cut(ask: Callable[[], Awaitable[bool]]) -> bool:
    """An answer; none while the connection led to the process that was killed."""
    try:
        return await ask()
    except (httpx.TransportError, Refused):
        return False


def kinds(log: list[Json]) -> list[str]:
    """Kinds of entries in their order."""
    return [entry["type"] for entry in log]


def assert_ended_once(log: list[Json], run: str, *, resumes: int = 1) -> None:
    """One start, its takeovers, one end, in this order; nothing after it."""
    seen = kinds([entry for entry in log if entry["run_id"] == run])
    counts = [seen.count(k) for k in ("agent_started", "agent_resumed", "agent_completed")]

    assert (seen[0], seen[-1]) == ("agent_started", "agent_completed")
    assert counts == [1, resumes, 1]
    assert log[-1]["type"] == "agent_completed"
    assert log[-1]["payload"]["status"] == "completed"
