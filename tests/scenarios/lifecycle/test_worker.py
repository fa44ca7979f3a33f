"""The example worker does its work, and nothing else when it was killed or stopped too long."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
from typing_extensions import override

from ...support.programs import Program
from ...support.waiting import until
from ..callers import Caller, Json, Platform, Tenant
from ..figures import Figures
from ..reporting.surroundings import ROOT

pytestmark = [
    pytest.mark.scenario("lifecycle", "recovery after interruption"),
    pytest.mark.timeout(120),
]

RESUMED_SECONDS = 30.0
LEASE_SECONDS = 10.0
"""After which a run without a heartbeat is taken from its worker."""
PATIENCE = 30.0
"""For what has no promise about time, such as the start of a Python program."""
WHOLE = [
    "agent_started",
    "agent_thinking",
    "tool_executing",
    "tool_completed",
    "message",
    "agent_completed",
]


class Worker(Program):
    """examples/worker.py as a process."""

    def __init__(self, name: str, folder: Path, tenant: Tenant, step_seconds: float) -> None:
        super().__init__(name, folder)
        self._settings = {
            "THREADKEEP_URL": tenant.urls[0],
            "THREADKEEP_API_KEY": tenant.key,
            "WORKER_STEP_SECONDS": str(step_seconds),
        }

    @override
    def command(self) -> list[str]:
        return [sys.executable, str(ROOT / "examples" / "worker.py"), "counter"]

    @override
    def environment(self) -> dict[str, str]:
        return {**super().environment(), **self._settings}

    @override
    def is_ready(self) -> bool:
        return self.is_running


@pytest.fixture
async def worker(tmp_path: Path, tenant: Tenant) -> AsyncIterator[Callable[..., Worker]]:
    """Starts workers of the tenant; all are ended with the test."""
    started: list[Worker] = []

    def start(step_seconds: float = 0.02) -> Worker:
        started.append(Worker(f"worker-{len(started)}", tmp_path, tenant, step_seconds))
        started[-1].start()
        return started[-1]

    yield start
    for each in started:
        await asyncio.to_thread(each.stop)


async def ask_counter(operator: Platform, tenant: Tenant) -> tuple[Caller, str, str]:
    """A started run: its user, thread and id."""
    await operator.agent(tenant, "counter", "worker")
    user = tenant.user("ann")
    thread = (await user.create())["id"]
    body = {"agent": "counter", "message": {"content": "one two three"}}
    started = await user.ask("POST", f"/v1/threads/{thread}/runs", 201, json=body)
    return user, thread, started["run"]["id"]


async def events_of(user: Caller, thread: str, run: str) -> list[Json]:
    return [entry for entry in await user.entries(thread) if entry["run_id"] == run]


async def has(user: Caller, thread: str, kind: str) -> bool:
    return any(entry["type"] == kind for entry in await user.entries(thread))


async def assert_done_once(user: Caller, thread: str, run: str) -> list[Json]:
    """One end, one message, and the thread takes the next run."""
    await until(partial(has, user, thread, "agent_completed"), RESUMED_SECONDS)
    events = await events_of(user, thread, run)
    kinds = [event["type"] for event in events]
    assert (kinds[0], kinds[-1]) == ("agent_started", "agent_completed")
    assert (kinds.count("agent_completed"), kinds.count("message")) == (1, 1)
    assert events[-1]["payload"]["status"] == "completed"
    assert events[-1]["payload"]["response"] == "Your message has 3 words."
    body = {"agent": "counter"}
    await user.ask("POST", f"/v1/threads/{thread}/runs", 201, json=body)
    return events


async def test_it_works_and_leaves_when_it_is_asked_to(
    operator: Platform, tenant: Tenant, worker: Callable[..., Worker]
) -> None:
    user, thread, run = await ask_counter(operator, tenant)
    started = worker()

    events = await assert_done_once(user, thread, run)

    assert [event["type"] for event in events] == WHOLE
    started.terminate()
    assert await asyncio.to_thread(started.wait, PATIENCE) == 0


async def test_another_takes_over_when_it_was_killed(
    operator: Platform, tenant: Tenant, worker: Callable[..., Worker], figures: Figures
) -> None:
    user, thread, run = await ask_counter(operator, tenant)
    first = worker(2.0)
    await until(partial(has, user, thread, "tool_executing"), PATIENCE)
    first.kill()
    killed = time.monotonic()
    worker()

    await until(partial(has, user, thread, "agent_resumed"), RESUMED_SECONDS)
    figures.record("worker killed, resumed after", time.monotonic() - killed, "s", n=1)
    events = await assert_done_once(user, thread, run)

    interrupted = [e["payload"]["error"] for e in events if "error" in e["payload"]]
    assert interrupted == ["interrupted"]


async def test_stopped_past_its_lease_it_can_write_nothing(
    operator: Platform, tenant: Tenant, worker: Callable[..., Worker]
) -> None:
    user, thread, run = await ask_counter(operator, tenant)
    stopped = worker(1.0)
    await until(partial(has, user, thread, "tool_executing"), PATIENCE)
    stopped.pause()
    worker()
    events = await assert_done_once(user, thread, run)

    stopped.resume()
    await until(lambda: f"lost {run}" in stopped.output(), 20, what="the end of its work")

    assert await events_of(user, thread, run) == events
    resumed = next(event for event in events if event["type"] == "agent_resumed")
    assert resumed["payload"] == {
        "attempt": 2,
        "previous_worker": f"words-{stopped.pid}",
        "reason": "lease_expired",
    }


async def test_a_cancel_reaches_it_within_its_heartbeat(
    operator: Platform, tenant: Tenant, worker: Callable[..., Worker], figures: Figures
) -> None:
    user, thread, run = await ask_counter(operator, tenant)
    worker(2.0)
    await until(partial(has, user, thread, "agent_thinking"), PATIENCE)

    asked = time.monotonic()
    await user.ask("POST", f"/v1/runs/{run}/cancel", 202)
    await until(partial(has, user, thread, "agent_completed"), PATIENCE)

    seconds = time.monotonic() - asked
    # A heartbeat has just been when it begins to think, so most of the next pause is waited for.
    figures.judge("cancelled after", seconds, "s", n=1, below=4.0)
    assert seconds < LEASE_SECONDS, "nobody was told; the lease ran out"
    assert (await events_of(user, thread, run))[-1]["payload"]["status"] == "cancelled"
