"""Whatever two processes do to a thread's runs at once, each ends exactly once and in order."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.postgres import Database
from tests.support.waiting import Stopwatch
from threadkeep.domain import events
from threadkeep.domain.run_payloads import RunEvent
from threadkeep.domain.runs import Claimed
from threadkeep.errors import Conflict, StaleFence, Unavailable
from threadkeep.services.windows import PageRequest

from .desks import Office, gave_up_waiting, office_on

POLICIES = ("reject", "enqueue", "interrupt", "rollback", "concurrent")
STEPS = st.tuples(
    st.sampled_from(
        (
            *(f"start {policy}" for policy in POLICIES),
            *("claim", "claim", "claim", "write", "write", "complete", "fail", "cancel"),
            *("expire", "reap", "hand_over", "ask"),
        )
    ),
    st.integers(0, 1),
    st.integers(0, 50),
)
ROUNDS = st.lists(st.lists(STEPS, min_size=1, max_size=5), min_size=2, max_size=10)


@dataclass
class Play:
    """One example: a thread, and all holders that there ever were, dead ones too."""

    office: Office
    thread: str
    watch: Stopwatch
    claims: list[Claimed] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    async def step(self, what: str, desk: int, pick: int) -> None:
        """One step; what the state forbids is refused, anything else is a failure."""
        try:
            await self._step(what, desk, pick)
        except (Conflict, StaleFence) as exc:
            self.done[f"{what}: {exc.code}"] += 1
        except Unavailable as exc:
            if not gave_up_waiting(exc, self.watch):
                raise
            self.done[f"{what}: {exc.code}"] += 1
        else:
            self.done[what] += 1

    async def _step(self, what: str, desk: int, pick: int) -> None:
        office, runs = self.office, self.office.desks[desk].runs
        verb, _, policy = what.partition(" ")
        if verb == "start":
            await office.start(self.thread, "hello", desk=desk, if_busy=policy)
        elif verb == "claim":
            claimed = await runs.claim(office.tenant, f"w{desk}", None, 0)
            if claimed is not None:
                self.claims.append(claimed)
        elif verb == "reap":
            await runs.reap()
        elif self.claims:
            await self._held(what, desk, self.claims[pick % len(self.claims)])

    async def _held(self, what: str, desk: int, claimed: Claimed) -> None:
        office, runs = self.office, self.office.desks[desk].runs
        run, fence = claimed.run.id, claimed.fence
        call = {"tool_name": "t", "call_id": f"c{fence}"}
        match what:
            case "write":
                thinking = RunEvent("agent_thinking", {"thought": "hm"})
                begun = [thinking, RunEvent("tool_executing", call)]
                await runs.append_events(office.tenant, run, fence, begun)
            case "ask":
                asked = [RunEvent("tool_executing", call), RunEvent("requires_action")]
                await runs.append_events(office.tenant, run, fence, asked)
            case "complete":
                await runs.complete(office.tenant, run, fence)
            case "fail":
                await runs.fail(office.tenant, run, fence, error="e")
            case "cancel":
                await runs.cancel(office.principal, run)
            case "expire":
                await office.expire(run)
            case _:
                await runs.holders.hand_over(claimed.run.place, fence)

    async def settle(self) -> None:
        """All holders die and nobody new comes but the reaper, and claims that die too."""
        office, runs = self.office, self.office.runs
        page = await runs.list(office.principal, self.thread, PageRequest(100))
        waiting = [r.id for r in page.items if r.status == events.ACTION_REQUIRED]
        for run in waiting:
            await runs.cancel(office.principal, run)
        for _ in range(400):
            await office.execute(
                "UPDATE runs SET lease_until = now() WHERE thread_id = $1"
                " AND lease_until IS NOT NULL",
                self.thread,
            )
            reaped = await runs.reap()
            if await runs.claim(office.tenant, "dies", None, 0) is None and not reaped:
                return
        raise AssertionError("the runs of the thread did not come to an end")


@pytest.mark.timeout(300)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rounds=ROUNDS)
async def test_every_run_ends_exactly_once_and_the_thread_is_free(
    database: Database, rounds: list[list[tuple[str, int, int]]]
) -> None:
    async with office_on(database, processes=2) as office:
        with Stopwatch() as watch:
            play = Play(office, await office.thread(), watch)
            await play.step("start reject", 0, 0)
            for steps in rounds:
                await asyncio.gather(*(play.step(*step) for step in steps))
                await office.check(play.thread)

        await play.settle()

        await office.check(play.thread)
        page = await office.runs.list(office.principal, play.thread, PageRequest(100))
        assert {run.status for run in page.items} <= events.TERMINAL
        ends = (await office.kinds(play.thread)).count(events.COMPLETED)
        assert ends == len(page.items) >= 1
        await office.start(play.thread, if_busy="reject")
