"""Starting a run: one commit, one order, and the policies for a thread that is busy."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.support.postgres import Database
from tests.support.seeds import set_state
from tests.support.waiting import Stopwatch
from threadkeep.domain import ids
from threadkeep.domain.runs import LeaseTimes, RunStarted
from threadkeep.errors import (
    Conflict,
    Gone,
    IdempotencyMismatch,
    InvalidRequest,
    NotFound,
    Unavailable,
)
from threadkeep.services.windows import PageRequest

from .desks import gave_up_waiting, office_on


async def test_message_run_and_first_event_are_one_commit(database: Database) -> None:
    async with office_on(database) as office:
        thread = await office.thread()

        started = await office.start(thread, "hello", input={"deep": [1]})

        (_, message), (kind, payload) = await office.log(thread)
        assert started.first_seq == 1
        assert message["content"] == "hello"
        assert (kind, payload) == (
            "agent_started",
            {
                "agent": "robot",
                "request": {"message_id": f"msg_{started.message_id}", "input": {"deep": [1]}},
                "run_id": f"run_{started.run.id}",
            },
        )
        assert [entry.seq for entry in office.desks[0].published] == [1, 2]
        assert (await office.run(started.run.id)).status == "queued"


async def test_nothing_is_kept_of_a_refused_start(database: Database) -> None:
    async with office_on(database) as office:
        thread = await office.thread()

        with pytest.raises(InvalidRequest):
            await office.start(thread, "hello", agent="nobody")
        with pytest.raises(InvalidRequest):
            await office.start(thread, "hello", if_busy="whatever")
        with pytest.raises(NotFound):
            await office.start(ids.new_id(), "hello")

        assert await office.log(thread) == []


async def test_a_kind_that_nobody_runs_is_refused(database: Database) -> None:
    """Otherwise the thread would be busy for ever."""
    async with office_on(database) as office:
        thread = await office.thread()
        await office.agent("model", "openai")

        with pytest.raises(InvalidRequest):
            await office.start(thread, agent="model")


@pytest.mark.parametrize("text", ["hello", None])
@pytest.mark.parametrize("is_busy", [False, True])
async def test_a_repeated_key_gets_the_first_answer(
    database: Database, text: str | None, is_busy: bool
) -> None:
    async with office_on(database, processes=2) as office:
        thread = await office.thread()
        if is_busy:
            await office.start(thread)
        before = len(await office.log(thread))

        async def start(n: int) -> RunStarted:
            while True:
                try:
                    return await office.start(thread, text, desk=n % 2, key="k", if_busy="enqueue")
                except Unavailable as exc:
                    if not gave_up_waiting(exc, watch):
                        raise

        with Stopwatch() as watch:
            answers = await asyncio.gather(*(start(n) for n in range(10)))

        assert {answer.run.id for answer in answers} == {answers[0].run.id}
        assert {(a.first_seq, a.message_id) for a in answers} == {
            (before + 1, answers[0].message_id)
        }
        assert [answer.repeated for answer in answers].count(False) == 1
        assert len(await office.log(thread)) == before + (2 if text else 1)


async def test_a_key_with_another_body_is_a_mismatch(database: Database) -> None:
    async with office_on(database) as office:
        thread = await office.thread()
        await office.start(thread, "a", key="k")

        for text, given in (("b", {}), (None, {}), ("a", {"x": 1})):
            with pytest.raises(IdempotencyMismatch):
                await office.start(thread, text, key="k", input=given)


@pytest.mark.parametrize("state", ["paused", "archived"])
async def test_a_thread_that_takes_no_messages_takes_no_runs(
    database: Database, state: str
) -> None:
    async with office_on(database) as office:
        thread = await office.thread()
        await set_state(database.superuser_url, thread, state)

        with pytest.raises(Conflict) as refused:
            await office.start(thread)

        assert refused.value.state == state


async def test_a_deleted_thread_is_gone(database: Database) -> None:
    async with office_on(database) as office:
        thread = await office.thread()
        started = await office.start(thread)
        await set_state(database.superuser_url, thread, "deleted")

        with pytest.raises(Gone):
            await office.start(thread)
        with pytest.raises(Gone):
            await office.run(started.run.id)
        with pytest.raises(Gone):
            await office.runs.list(office.principal, thread, PageRequest())


async def test_a_start_reopens_a_completed_thread_and_says_so(database: Database) -> None:
    async with office_on(database) as office:
        thread = await office.thread()
        await set_state(database.superuser_url, thread, "completed")

        started = await office.start(thread, "again", key="k")
        repeated = await office.start(thread, "again", key="k")

        assert await office.kinds(thread) == ["thread_state_changed", "message", "agent_started"]
        (_, said), *_ = await office.log(thread)
        assert said == {"action": "reopen", "from": "completed", "to": "active", "version": 2}
        assert repeated.run.id == started.run.id


async def test_reject_names_the_run_in_the_way(database: Database) -> None:
    async with office_on(database) as office:
        thread = await office.thread()
        first = await office.start(thread)

        with pytest.raises(Conflict) as refused:
            await office.start(thread, "second")

        assert refused.value.run_id == f"run_{first.run.id}"
        assert await office.kinds(thread) == ["agent_started"]


async def test_enqueued_runs_start_one_after_another_in_their_order(database: Database) -> None:
    async with office_on(database, processes=2) as office:
        thread = await office.thread()
        runs = [(await office.start(thread, f"{n}", if_busy="enqueue")).run.id for n in range(4)]
        seen = []

        for n in range(4):
            claimed = await office.claim(desk=n % 2)
            assert await office.desks[1 - n % 2].runs.claim(office.tenant, "x", None, 0) is None
            seen.append(claimed.run.id)
            await office.runs.complete(office.tenant, claimed.run.id, claimed.fence)

        assert seen == runs
        kinds = await office.kinds(thread)
        assert kinds[:8] == ["message", "agent_started", *["message", "run_queued"] * 3]
        assert kinds[8:] == ["agent_completed", *["agent_started", "agent_completed"] * 3]
        await office.check(thread)


async def test_runs_that_wait_for_their_turn_hide_no_others(database: Database) -> None:
    async with office_on(database) as office:
        busy = await office.thread()
        for _ in range(20):
            await office.start(busy, if_busy="enqueue")
        other = await office.start(await office.thread())

        claimed = {(await office.claim()).run.id, (await office.claim()).run.id}

        assert other.run.id in claimed
        assert await office.runs.claim(office.tenant, "w", None, 0) is None


async def test_the_end_of_a_run_wakes_who_waits_for_the_next(database: Database) -> None:
    async with office_on(database, times=LeaseTimes(poll=timedelta(seconds=60))) as office:
        thread = await office.thread()
        first = await office.start(thread)
        second = await office.start(thread, if_busy="enqueue")
        held = await office.claim()
        waiting = asyncio.create_task(office.claim(wait=20))
        await asyncio.sleep(0)

        await office.runs.complete(office.tenant, held.run.id, held.fence)

        async with asyncio.timeout(15):  # below the pause between two looks
            assert (await waiting).run.id == second.run.id
        assert held.run.id == first.run.id


@pytest.mark.parametrize("policy", ["interrupt", "rollback"])
async def test_the_old_run_ends_as_interrupted(database: Database, policy: str) -> None:
    async with office_on(database) as office:
        thread = await office.thread()
        old = (await office.start(thread, "old")).run.id
        waiting = (await office.start(thread, "waits", if_busy="enqueue")).run.id

        new = await office.start(thread, "new", if_busy=policy)

        assert (await office.run(old)).status == "interrupted"
        assert (await office.run(waiting)).status == "interrupted"
        assert (await office.claim()).run.id == new.run.id
        rolled = [p for kind, p in await office.log(thread) if kind == "run_rolled_back"]
        expected = [{"run_id": f"run_{old}"}, {"run_id": f"run_{waiting}"}]
        assert rolled == (expected if policy == "rollback" else [])
        await office.check(thread)


async def test_concurrent_runs_neither_wait_nor_make_wait(database: Database) -> None:
    async with office_on(database) as office:
        thread = await office.thread()
        first = await office.start(thread)
        beside = await office.start(thread, if_busy="concurrent")
        claimed = {(await office.claim()).run.id, (await office.claim()).run.id}
        await office.runs.cancel(office.principal, first.run.id)
        await office.expire(first.run.id)
        await office.runs.reap()

        third = await office.start(thread)

        assert claimed == {first.run.id, beside.run.id}
        assert (await office.claim()).run.id == third.run.id


async def test_starts_at_the_same_moment_make_one_run(database: Database) -> None:
    async with office_on(database, processes=2) as office:
        thread = await office.thread()

        with Stopwatch() as watch:
            answers = await asyncio.gather(
                *(office.start(thread, desk=n % 2) for n in range(20)), return_exceptions=True
            )

        refused = [a for a in answers if isinstance(a, Conflict) or gave_up_waiting(a, watch)]
        assert len(refused) == 19
        assert sum(isinstance(answer, RunStarted) for answer in answers) == 1
        assert await office.kinds(thread) == ["agent_started"]


async def test_pages_of_runs_go_both_ways(database: Database) -> None:
    async with office_on(database) as office:
        thread = await office.thread()
        made = [(await office.start(thread, if_busy="concurrent")).run.id for _ in range(5)][::-1]

        first = await office.runs.list(office.principal, thread, PageRequest(2))
        second = await office.runs.list(office.principal, thread, PageRequest(2, first.next))
        last = await office.runs.list(office.principal, thread, PageRequest(2, second.next))
        back = await office.runs.list(
            office.principal, thread, PageRequest(2, before=last.previous)
        )

        pages = [[run.id for run in each.items] for each in (first, second, last, back)]
        assert pages == [made[:2], made[2:4], made[4:], made[2:4]]
        assert [each.has_more for each in (first, second, last)] == [True, True, False]
