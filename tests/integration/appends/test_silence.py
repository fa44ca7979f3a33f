"""A network that swallows everything: no caller waits for several time limits in a row."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from tests.support.postgres import Database, one_value
from tests.support.proxy import proxied
from tests.support.waiting import Stopwatch, until
from threadkeep.errors import Unavailable
from threadkeep.services.probes import Probes
from threadkeep.storage import database as storage

from .lanes import lanes_on

LIMIT = 2.0
"""Seconds that a request may wait."""
ROOM = 1.6
"""Limits that may pass: two in a row are more."""

Use = Callable[[storage.Database], Awaitable[object]]


async def read(database: storage.Database) -> None:
    await database.call("SELECT 1")


async def write(database: storage.Database) -> None:
    await database.write("SELECT 1")


async def begin(database: storage.Database) -> None:
    async with database.transaction_as(None, None):
        pass


@asynccontextmanager
async def silenced(given: Database) -> AsyncIterator[storage.Database]:
    """A pool whose server stopped answering after it had worked."""
    limit = str(LIMIT)
    async with (
        proxied(given.app_url) as proxy,
        lanes_on(replace(given, app_url=proxy.url), THREADKEEP_REQUEST_SECONDS=limit) as lanes,
    ):
        await read(lanes.database)
        proxy.is_silent = True
        yield lanes.database
        proxy.is_silent = False


@pytest.mark.parametrize("use", [read, write, begin])
async def test_a_caller_waits_for_one_time_limit(use: Use, database: Database) -> None:
    async with silenced(database) as pool:
        with Stopwatch() as watch, pytest.raises(Unavailable):
            await use(pool)

        assert watch.seconds < ROOM * LIMIT


async def test_a_probe_is_answered_before_a_request_would_be(database: Database) -> None:
    """Neither its own time limit nor the end of its statement comes on top of the other."""
    async with silenced(database) as pool:
        with Stopwatch() as watch, pytest.raises(Unavailable):
            await Probes(pool).ready()

        assert watch.seconds < LIMIT


async def test_a_statement_midway_costs_one_limit_too(database: Database) -> None:
    """Neither the rollback nor the connection's return to the pool is waited for."""
    limit = str(LIMIT)
    async with (
        proxied(database.app_url) as proxy,
        lanes_on(replace(database, app_url=proxy.url), THREADKEEP_REQUEST_SECONDS=limit) as lanes,
    ):

        async def use() -> None:
            async with lanes.database.transaction_as(None, None) as connection:
                proxy.is_silent = True
                stack.enter_context(watch)
                await connection.fetchval("SELECT 1")

        watch = Stopwatch()
        with ExitStack() as stack, pytest.raises(Unavailable):
            await use()

        assert watch.seconds < ROOM * LIMIT


async def test_the_server_gives_up_what_nobody_waits_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each time limit would leave a busy backend behind, outside of every budget."""
    # Time to see that it is still busy when its caller has gone.
    monkeypatch.setattr(storage, "_GRACE_SECONDS", 4.0)
    running = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND query = 'SELECT pg_sleep(60)' AND state = 'active'"
    )

    async def count() -> int:
        return int(await one_value(database.superuser_url, running))

    async def is_given_up() -> bool:
        return await count() == 0

    async with lanes_on(database, THREADKEEP_REQUEST_SECONDS="0.5") as lanes:
        with pytest.raises(Unavailable):
            await lanes.database.call("SELECT pg_sleep(60)")
        assert await count() == 1
        await until(is_given_up, 20, what="the end of what nobody waits for")
