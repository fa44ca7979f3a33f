"""Each append gets its own verdict, whatever stands beside it in the batch."""

from __future__ import annotations

import asyncio
import itertools

import asyncpg
import pytest

from tests.support.postgres import Database, superuser
from tests.support.seeds import set_state
from threadkeep.domain import ids
from threadkeep.errors import Conflict, Gone, IdempotencyMismatch, NotFound, Unavailable
from threadkeep.storage import entries
from threadkeep.storage.appender import BATCH_ITEMS, HELD_UP_SECONDS
from threadkeep.storage.appends import Appended

from .lanes import lanes_on


async def test_a_hundred_parallel_appends_are_numbered_without_gap(database: Database) -> None:
    async with lanes_on(database) as lanes:
        thread = await lanes.thread()

        verdicts = await asyncio.gather(*(lanes.append(thread, f"text {n}") for n in range(100)))

        assert sorted(v.first_seq for v in verdicts if isinstance(v, Appended)) == [*range(1, 101)]
        assert [seq for seq, _ in await lanes.log(thread)] == [*range(1, 101)]


async def test_an_append_through_two_processes_keeps_one_order(database: Database) -> None:
    async with lanes_on(database) as one, lanes_on(database) as other:
        thread = await one.thread()
        other.tenant = one.tenant

        await asyncio.gather(
            *(lanes.append(thread, f"{n}") for n in range(200) for lanes in (one, other))
        )

        assert [seq for seq, _ in await one.log(thread)] == [*range(1, 401)]


async def test_created_at_rises_strictly_along_seq(database: Database) -> None:
    async with lanes_on(database) as lanes:
        thread = await lanes.thread()
        await asyncio.gather(*(lanes.append(thread, "a", "b", "c") for _ in range(50)))

        page = await entries.read_page(lanes.database, lanes.tenant, "ann", thread, limit=1000)

        assert page is not None
        times = [entry.at for entry in page.entries]
        assert len(times) == 150
        assert all(a < b for a, b in itertools.pairwise(times))


async def test_a_repeated_key_gets_the_first_answer_and_adds_nothing(database: Database) -> None:
    async with lanes_on(database) as lanes:
        thread = await lanes.thread()

        verdicts = await asyncio.gather(
            *(lanes.append(thread, "once", "twice", key="k") for _ in range(20))
        )
        later = await lanes.append(thread, "once", "twice", key="k")

        answers = [v for v in (*verdicts, later) if isinstance(v, Appended)]
        assert len(answers) == 21
        assert {(v.first_seq, v.at, v.epoch, tuple(v.ids)) for v in answers} == {
            (1, answers[0].at, answers[0].epoch, tuple(answers[0].ids))
        }
        assert sum(not v.repeated for v in answers) == 1
        assert len(await lanes.log(thread)) == 2
        assert sum(item.thread == thread for item, _ in lanes.committed) == 1


async def test_a_repeated_key_with_another_body_is_refused(database: Database) -> None:
    async with lanes_on(database) as lanes:
        thread = await lanes.thread()
        await lanes.append(thread, "one body", key="k")

        verdict = await lanes.append(thread, "another body", key="k")

        assert isinstance(verdict, IdempotencyMismatch)
        assert len(await lanes.log(thread)) == 1


async def test_a_repeat_is_answered_also_when_the_thread_takes_no_more(database: Database) -> None:
    async with lanes_on(database) as lanes:
        thread = await lanes.thread()
        first = await lanes.append(thread, "text", key="k")
        await set_state(database.superuser_url, thread, "archived")

        again = await lanes.append(thread, "text", key="k")

        assert isinstance(first, Appended)
        assert isinstance(again, Appended)
        assert again.repeated
        assert (again.first_seq, again.ids) == (first.first_seq, first.ids)


async def test_one_batch_gives_every_item_its_own_verdict(database: Database) -> None:
    """Misfits neither spoil their neighbours nor change anything themselves."""
    async with lanes_on(database) as lanes:
        good, paused, deleted, done = [await lanes.thread() for _ in range(4)]
        await set_state(database.superuser_url, paused, "paused")
        await set_state(database.superuser_url, deleted, "deleted")
        await set_state(database.superuser_url, done, "completed")

        verdicts = await asyncio.gather(
            lanes.append(good, "fits"),
            lanes.append(paused, "no"),
            lanes.append(deleted, "no"),
            lanes.append(done, "reopens"),
            lanes.append(ids.new_id(), "nowhere"),
            lanes.append(good, "not mine", owner="bob"),
            lanes.append(good, "fits too"),
        )

        assert [type(v) for v in verdicts] == [
            Appended,
            Conflict,
            Gone,
            Appended,
            NotFound,
            NotFound,
            Appended,
        ]
        assert [seq for seq, _ in await lanes.log(good)] == [1, 2]
        assert await lanes.log(paused) == []
        assert await lanes.log(deleted) == []


async def test_an_append_reopens_a_completed_thread_and_says_so(database: Database) -> None:
    async with lanes_on(database) as lanes:
        thread = await lanes.thread()
        await lanes.append(thread, "first")
        await set_state(database.superuser_url, thread, "completed")

        verdict = await lanes.append(thread, "again")

        page = await entries.read_page(lanes.database, lanes.tenant, "ann", thread)
        assert isinstance(verdict, Appended)
        assert verdict.reopened
        assert page is not None
        assert page.state == "active"
        assert [e.kind for e in page.entries] == ["message", "thread_state_changed", "message"]
        assert verdict.first_seq == 3


async def test_a_locked_thread_costs_only_its_own_items(database: Database) -> None:
    """Somebody holds one head for long: its append is refused, the others go through."""
    async with lanes_on(database, THREADKEEP_APPEND_LANES="1") as lanes:
        held, free = await lanes.thread(), await lanes.thread()
        async with superuser(database.superuser_url) as connection, connection.transaction():
            await connection.execute("SELECT FROM heads WHERE thread_id = $1 FOR UPDATE", held)

            verdicts = await asyncio.gather(lanes.append(held, "no"), lanes.append(free, "yes"))

        assert [type(v) for v in verdicts] == [Unavailable, Appended]
        assert await lanes.log(held) == []


async def test_the_log_refuses_to_be_rewritten_by_the_application(database: Database) -> None:
    async with superuser(database.app_url) as connection:
        for statement in (
            "UPDATE entries SET body = 'x'",
            "DELETE FROM entries",
            "TRUNCATE entries",
            "DELETE FROM audit",
            "UPDATE audit SET count = 0",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


async def test_a_held_up_lane_leaves_other_threads_to_the_next(database: Database) -> None:
    """What comes while a batch waits for somebody's lock does not wait with it."""
    async with lanes_on(database) as lanes:
        held, free = await lanes.thread(), await lanes.thread()
        async with superuser(database.superuser_url) as connection:
            # Whoever waits for the lock gives up as late as a caller does, not after a second.
            await connection.execute("ALTER FUNCTION append_batch SET lock_timeout = 0")
            async with connection.transaction():
                await connection.execute("SELECT FROM heads WHERE thread_id = $1 FOR UPDATE", held)
                waiting = asyncio.ensure_future(lanes.append(held, "at last"))
                await asyncio.sleep(HELD_UP_SECONDS * 2)

                verdict = await lanes.append(free, "yes")

                assert isinstance(verdict, Appended)
                assert not waiting.done()
        assert isinstance(await waiting, Appended)


async def test_threads_keep_their_order_when_more_than_one_lane_is_filled(
    database: Database,
) -> None:
    async with lanes_on(database) as lanes:
        threads = [await lanes.thread() for _ in range(5)]
        count = 4 * BATCH_ITEMS

        verdicts = await asyncio.gather(
            *(lanes.append(threads[n % 5], f"{n}") for n in range(count))
        )

        for at, thread in enumerate(threads):
            seqs = [v.first_seq for v in verdicts[at::5] if isinstance(v, Appended)]
            assert seqs == [*range(1, len(range(at, count, 5)) + 1)]
            assert len(await lanes.log(thread)) == len(seqs)
