"""The commit happened and its answer was lost: the appender finds out instead of guessing."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from tests.support.postgres import Database, one_value, superuser
from tests.support.proxy import proxied
from tests.support.waiting import until
from threadkeep.errors import Unavailable
from threadkeep.storage.appends import Appended

from .lanes import lanes_on


async def test_a_lost_answer_is_looked_up_and_the_truth_told(database: Database) -> None:
    async with (
        proxied(database.app_url) as proxy,
        lanes_on(replace(database, app_url=proxy.url)) as lanes,
    ):
        thread = await lanes.thread()
        await lanes.append(thread, "first")
        proxy.is_losing = True

        pending = asyncio.create_task(lanes.append(thread, "second"))
        await until(lambda: proxy.lost > 0)
        proxy.is_losing = False
        verdict = await pending

        assert isinstance(verdict, Appended)
        assert verdict.first_seq == 2
        assert len(await lanes.log(thread)) == 2
        # Delivery, search and the audit hear of it, as of any other append.
        assert not verdict.repeated
        assert [appended.first_seq for _, appended in lanes.committed] == [1, 2]


async def test_an_unknown_outcome_is_called_unknown(database: Database) -> None:
    """No answer comes until the time limit: 503 with an unknown outcome, the key tells later."""
    async with (
        proxied(database.app_url) as proxy,
        lanes_on(replace(database, app_url=proxy.url)) as lanes,
    ):
        thread = await lanes.thread()
        await lanes.append(thread, "first")
        usual = lanes.hurry(1.0)
        proxy.is_losing = True

        verdict = await lanes.append(thread, "second", key="k")
        proxy.is_losing = False
        lanes.hurry(usual)
        later = await lanes.append(thread, "second", key="k")

        assert isinstance(verdict, Unavailable)
        assert verdict.outcome_unknown
        assert isinstance(later, Appended)
        assert later.repeated
        assert len(await lanes.log(thread)) == 2


async def test_a_thread_that_is_busy_at_the_second_try_is_no_answer_to_the_first(
    database: Database,
) -> None:
    """What the first try became of is still open: nobody may call it certain."""
    waiting = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock'"
    )
    async with lanes_on(database) as lanes, superuser(database.superuser_url) as other:
        thread = await lanes.thread()
        async with other.transaction():
            await other.execute("SELECT FROM heads WHERE thread_id = $1 FOR UPDATE", thread)
            pending = asyncio.create_task(lanes.append(thread, "text"))
            pid = await until(lambda: one_value(database.superuser_url, waiting))
            await one_value(database.superuser_url, f"SELECT pg_terminate_backend({pid})")
            verdict = await pending

        assert isinstance(verdict, Unavailable)
        assert verdict.outcome_unknown


async def test_what_waited_too_long_is_never_sent(database: Database) -> None:
    """A process that stood still: its callers are told, and nothing happens after that."""
    async with lanes_on(database) as lanes:
        thread = await lanes.thread()
        await lanes.append(thread, "first")
        item, late = lanes.item(thread, "second")
        usual = lanes.hurry(0.5)
        lanes.appender.submit(item)
        time.sleep(0.6)  # noqa: ASYNC251 - nothing else may run meanwhile

        verdict = await late
        lanes.hurry(usual)
        third = await lanes.append(thread, "third")

        assert isinstance(verdict, Unavailable)
        assert not verdict.outcome_unknown
        assert isinstance(third, Appended)
        assert third.first_seq == 2
        assert len(await lanes.log(thread)) == 2


async def test_what_was_never_sent_is_refused_without_doubt(database: Database) -> None:
    async with (
        proxied(database.app_url) as proxy,
        lanes_on(replace(database, app_url=proxy.url)) as lanes,
    ):
        thread = await lanes.thread()
        lanes.hurry(1.0)
        proxy.is_losing = True

        verdict = await lanes.append(thread, "text")
        proxy.is_losing = False

        assert isinstance(verdict, Unavailable)
        assert not verdict.outcome_unknown
        assert await lanes.log(thread) == []
