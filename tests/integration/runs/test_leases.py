"""Leases: a holder that is gone is found, one that was stopped can write nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.support.postgres import Database
from tests.support.seeds import set_state
from tests.support.waiting import Stopwatch, until
from threadkeep.domain import ids
from threadkeep.domain.run_payloads import RunEvent
from threadkeep.domain.runs import LeaseTimes
from threadkeep.errors import Conflict, NotFound, StaleFence

from .desks import QUICK, Office, office_on

THOUGHT = RunEvent("agent_thinking", {"thought": "hm"})
PAUSE = RunEvent("requires_action", {})
CALL = RunEvent("tool_executing", {"tool_name": "t", "call_id": "c", "tool_input": {"a": 1}})


async def refuse_everything(office: Office, run: str, fence: int, desk: int = 0) -> None:
    """No write of this holder changes anything."""
    runs = office.desks[desk].runs
    thread = (await office.run(run)).thread
    before = await office.log(thread)
    for write in (
        lambda: runs.heartbeat(office.tenant, run, fence),
        lambda: runs.append_events(office.tenant, run, fence, [THOUGHT]),
        lambda: runs.complete(office.tenant, run, fence, response="late"),
        lambda: runs.fail(office.tenant, run, fence, error="late"),
    ):
        with pytest.raises(StaleFence):
            await write()
    assert await office.log(thread) == before


async def test_an_expired_lease_is_stale_although_nobody_took_over(database: Database) -> None:
    async with office_on(database) as office:
        thread = await office.thread()
        run = (await office.start(thread)).run.id
        held = await office.claim()
        await office.expire(run)

        await refuse_everything(office, run, held.fence)

        assert (await office.run(run)).status == "running"


async def test_a_stopped_holder_writes_nothing_after_takeover(database: Database) -> None:
    async with office_on(database, processes=2) as office:
        thread = await office.thread()
        run = (await office.start(thread)).run.id
        stopped = await office.claim(worker="one")
        await office.expire(run)
        assert await office.desks[1].runs.reap() == 1

        await refuse_everything(office, run, stopped.fence)
        second = await office.claim(desk=1, worker="two")
        await refuse_everything(office, run, stopped.fence)
        await office.desks[1].runs.complete(office.tenant, run, second.fence)
        await refuse_everything(office, run, stopped.fence)

        log = await office.log(thread, run)
        assert log[1] == (
            "agent_resumed",
            {"attempt": 2, "previous_worker": "one", "reason": "lease_expired"},
        )
        assert (await office.start(thread)).run.id != run
        await office.check(thread)


async def test_takeover_closes_calls_and_hands_on_what_was_done(database: Database) -> None:
    async with office_on(database) as office:
        thread = await office.thread()
        run = (await office.start(thread, "question")).run.id
        first = await office.claim()
        await office.runs.append_events(office.tenant, run, first.fence, [THOUGHT, CALL])
        await office.expire(run)
        await office.runs.reap()

        second = await office.claim()

        log = await office.log(thread, run)
        assert [kind for kind, _ in log] == [entry.kind for entry in second.events]
        assert log[-1][0] == "tool_completed"
        assert log[-1][1] | {"duration_ms": 0} == {
            "call_id": "c",
            "tool_name": "t",
            "error": "interrupted",
            "duration_ms": 0,
        }
        assert second.message is not None
        assert '"question"' in second.message.body
        assert second.run.open_calls == {}


async def test_a_run_fails_when_three_holders_have_died(database: Database) -> None:
    async with office_on(database) as office:
        thread = await office.thread()
        run = (await office.start(thread)).run.id
        for _ in range(3):
            await office.claim()
            await office.expire(run)
            assert await office.runs.reap() == 1

        assert await office.runs.claim(office.tenant, "w", None, 0) is None
        assert (await office.run(run)).status == "failed"
        assert (await office.start(thread)).run.id != run
        await office.check(thread)


async def test_death_is_found_and_taken_over_in_time(database: Database) -> None:
    """With leases of 0.6 s instead of 10; the reaper of the other process does it alone."""
    async with office_on(database, processes=2, times=QUICK) as office:
        thread = await office.thread()
        run = (await office.start(thread)).run.id
        await office.claim(worker="dies")
        office.desks[1].runs.reaper.start()
        try:
            with Stopwatch() as watch:
                taken = await office.claim(desk=1, wait=20)
        finally:
            await office.desks[1].runs.reaper.aclose()

        assert watch.seconds < 3
        assert taken.run.id == run
        assert taken.run.attempt == 2


async def test_heartbeats_keep_a_lease_beyond_its_length(database: Database) -> None:
    """Time goes by in the database alone: five sixths of a lease from one to the next."""
    times = LeaseTimes(lease=timedelta(seconds=60))
    async with office_on(database, processes=2, times=times) as office:
        thread = await office.thread()
        run = (await office.start(thread)).run.id
        held = await office.claim()
        for _ in range(3):
            await office.execute(
                "UPDATE runs SET lease_until = lease_until - interval '50 s' WHERE id = $1", run
            )
            assert await office.desks[1].runs.reap() == 0
            await office.runs.heartbeat(office.tenant, run, held.fence)

        found = await office.run(run)
        assert (found.status, found.fence) == ("running", held.fence)


async def test_cancel_ends_what_nobody_holds_at_once(database: Database) -> None:
    async with office_on(database) as office:
        thread = await office.thread()
        run = (await office.start(thread)).run.id
        waiting = (await office.start(thread, if_busy="enqueue")).run.id

        for each in (waiting, run, run):
            assert (await office.runs.cancel(office.principal, each)).status == "cancelled"

        log = await office.log(thread, waiting)
        assert [kind for kind, _ in log] == ["agent_started", "agent_completed"]
        assert await office.runs.claim(office.tenant, "w", None, 0) is None
        await office.check(thread)


async def test_a_holder_sees_the_cancel_and_ends_the_run(database: Database) -> None:
    async with office_on(database, processes=2) as office:
        thread = await office.thread()
        run = (await office.start(thread)).run.id
        held = await office.claim()

        asked = await office.desks[1].runs.cancel(office.principal, run)
        lease = await office.runs.heartbeat(office.tenant, run, held.fence)
        written = await office.runs.append_events(office.tenant, run, held.fence, [THOUGHT])
        ended = await office.runs.fail(office.tenant, run, held.fence, error="stopped")

        assert (asked.status, asked.cancel_requested) == ("running", True)
        assert lease.cancel_requested
        assert written.cancel_requested
        assert ended.status == "cancelled"
        await office.check(thread)


async def test_a_cancel_is_not_lost_when_the_holder_lets_go(database: Database) -> None:
    """It asks for an action before it hears of the cancel: nobody holds the run after that."""
    async with office_on(database) as office:
        thread = await office.thread()
        run = (await office.start(thread)).run.id
        held = await office.claim()
        await office.runs.append_events(office.tenant, run, held.fence, [CALL])
        await office.runs.cancel(office.principal, run)

        written = await office.runs.append_events(office.tenant, run, held.fence, [PAUSE])

        assert written.cancel_requested
        assert (await office.run(run)).status == "cancelled"
        await refuse_everything(office, run, held.fence)
        await office.check(thread)


async def test_a_cancel_outlives_the_threads_return(database: Database) -> None:
    """The thread was deleted, which cancels its runs, and came back before the reaper did."""
    async with office_on(database) as office:
        thread = await office.thread()
        run = (await office.start(thread)).run.id
        held = await office.claim()
        await office.runs.append_events(office.tenant, run, held.fence, [CALL, PAUSE])
        await office.execute("UPDATE runs SET cancel_requested = true WHERE id = $1", run)

        assert await office.runs.reap() == 1
        assert (await office.run(run)).status == "cancelled"
        await office.check(thread)


async def test_a_holder_that_ignores_the_cancel_loses_the_run(database: Database) -> None:
    async with office_on(database, times=QUICK) as office:
        thread = await office.thread()
        run = (await office.start(thread)).run.id
        held = await office.claim()
        await office.runs.cancel(office.principal, run)
        office.runs.reaper.start()

        async def lost() -> bool:
            try:
                await office.runs.heartbeat(office.tenant, run, held.fence)
            except StaleFence:
                return True
            return False

        await until(lost, 10)
        await until(lambda: _status_is(office, run, "cancelled"), 10)
        await office.runs.reaper.aclose()
        await office.check(thread)


async def _status_is(office: Office, run: str, status: str) -> bool:
    return (await office.run(run)).status == status


async def test_a_run_handed_over_is_taken_at_once_and_costs_no_attempt(database: Database) -> None:
    async with office_on(database) as office:
        thread = await office.thread()
        await office.start(thread)
        held = await office.claim(worker="one")

        await office.runs.holders.hand_over(held.run.place, held.fence)
        taken = await office.claim(worker="two")

        assert taken.run.attempt == 1
        assert taken.events[-1].body == (
            '{"attempt":1,"previous_worker":"one","reason":"handed_over"}'
        )


async def test_a_thread_that_is_paused_takes_nothing_but_the_end(database: Database) -> None:
    async with office_on(database) as office:
        thread = await office.thread()
        run = (await office.start(thread)).run.id
        held = await office.claim()
        await set_state(database.superuser_url, thread, "paused")

        with pytest.raises(Conflict) as refused:
            await office.runs.append_events(office.tenant, run, held.fence, [THOUGHT])
        ended = await office.runs.fail(office.tenant, run, held.fence, error="paused")

        assert refused.value.state == "paused"
        assert ended.status == "failed"
        await office.check(thread)


async def test_runs_of_a_paused_thread_wait_and_of_a_deleted_one_end(database: Database) -> None:
    async with office_on(database) as office:
        thread = await office.thread()
        run = (await office.start(thread)).run.id
        await set_state(database.superuser_url, thread, "paused")
        assert await office.runs.claim(office.tenant, "w", None, 0) is None
        await set_state(database.superuser_url, thread, "deleted")

        assert await office.runs.reap() == 1

        await set_state(database.superuser_url, thread, "active")
        assert (await office.run(run)).status == "interrupted"


async def test_a_repeated_end_gets_the_same_answer(database: Database) -> None:
    async with office_on(database) as office:
        thread = await office.thread()
        run = (await office.start(thread)).run.id
        held = await office.claim()
        usage = {"tokens": 3}

        first = await office.runs.complete(
            office.tenant, run, held.fence, response={"ok": 1}, usage=usage
        )
        again = await office.runs.complete(office.tenant, run, held.fence, response={"ok": 1})

        assert again == first
        _, payload = (await office.log(thread, run))[-1]
        assert payload.pop("duration_ms") >= 0
        assert payload == {"status": "completed", "response": {"ok": 1}, "usage": usage}


async def test_workers_get_runs_of_their_tenant_and_agents_only(database: Database) -> None:
    async with office_on(database) as office, office_on(database) as foreign:
        await office.agent("other")
        thread = await office.thread()
        run = (await office.start(thread, agent="other")).run.id

        assert await foreign.runs.claim(foreign.tenant, "w", None, 0) is None
        assert await office.runs.claim(office.tenant, "w", ["robot"], 0) is None
        claimed = await office.runs.claim(office.tenant, "w", ["x", "other"], 0)
        assert claimed is not None
        assert claimed.run.id == run
        for tenant, each in ((foreign.tenant, run), (office.tenant, ids.new_id())):
            with pytest.raises(NotFound):
                await office.runs.heartbeat(tenant, each, claimed.fence)
            with pytest.raises(NotFound):
                await office.runs.complete(tenant, each, claimed.fence)


async def test_a_hundred_claims_at_once_take_each_run_once(database: Database) -> None:
    async with office_on(database, processes=2) as office:
        runs = {(await office.start(await office.thread())).run.id for _ in range(20)}

        # As many as there are runs, so that each waits for one only as long as it takes.
        claims = await asyncio.gather(
            *(desk.runs.claim(office.tenant, "w", None, 30) for desk in office.desks * 10)
        )

        assert sorted(each.run.id for each in claims if each) == sorted(runs)


async def test_a_leaving_process_answers_who_waits(database: Database) -> None:
    async with office_on(database) as office:
        waiting = asyncio.create_task(office.runs.claim(office.tenant, "w", None, 30))
        await asyncio.sleep(0)

        office.runs.stop_waiting()

        assert await asyncio.wait_for(waiting, 2) is None
