"""The commit happened and its answer was lost: the appender finds out instead of guessing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.support.postgres import Database
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


async def test_an_unknown_outcome_is_called_unknown(database: Database) -> None:
    """No answer comes until the time limit: 503 with an unknown outcome, the key tells later."""
    async with (
        proxied(database.app_url) as proxy,
        lanes_on(replace(database, app_url=proxy.url), THREADKEEP_REQUEST_SECONDS="1") as lanes,
    ):
        thread = await lanes.thread()
        await lanes.append(thread, "first")
        proxy.is_losing = True

        verdict = await lanes.append(thread, "second", key="k")
        proxy.is_losing = False
        later = await lanes.append(thread, "second", key="k")

        assert isinstance(verdict, Unavailable)
        assert verdict.outcome_unknown
        assert isinstance(later, Appended)
        assert later.repeated
        assert len(await lanes.log(thread)) == 2


async def test_what_was_never_sent_is_refused_without_doubt(database: Database) -> None:
    async with (
        proxied(database.app_url) as proxy,
        lanes_on(replace(database, app_url=proxy.url), THREADKEEP_REQUEST_SECONDS="1") as lanes,
    ):
        thread = await lanes.thread()
        proxy.is_losing = True

        verdict = await lanes.append(thread, "text")
        proxy.is_losing = False

        assert isinstance(verdict, Unavailable)
        assert not verdict.outcome_unknown
        assert await lanes.log(thread) == []
