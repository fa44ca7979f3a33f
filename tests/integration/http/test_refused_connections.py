"""A database that lets the service in no more, and how soon that is noticed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.postgres import Database, one_value, superuser
from tests.support.waiting import until
from threadkeep.storage import probes
from threadkeep.web.keys import SERVICES

from .callers import Caller, Running
from .test_system import scraped

_OPEN = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND usename = 'threadkeep_app'"
_END = _OPEN.replace("*", "pg_terminate_backend(pid)")


@asynccontextmanager
async def refusing(database: Database) -> AsyncIterator[None]:
    """Nobody but superusers may connect for the length of the block."""
    async with superuser(database.superuser_url) as connection:
        await connection.execute(f'REVOKE CONNECT ON DATABASE "{database.name}" FROM PUBLIC')
        try:
            yield
        finally:
            await connection.execute(f'GRANT CONNECT ON DATABASE "{database.name}" TO PUBLIC')


async def is_ready(nobody: Caller) -> bool:
    return (await nobody.get("/readyz")).status == 200


async def is_not_ready(nobody: Caller) -> bool:
    return not await is_ready(nobody)


async def test_a_refused_login_is_an_outage_like_any_other(
    running: Running, database: Database
) -> None:
    async with refusing(database):
        await one_value(database.superuser_url, _END, database.name)
        await until(lambda: is_not_ready(running.nobody), 10)
        ready = await running.nobody.get("/readyz")
        asked = await running.platform.get("/v1/tenants")
        status = await running.platform.get("/v1/status")
        measured = await scraped(running)

    for answer in (ready, asked):
        assert (answer.status, answer.error["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
    assert status.json["degraded"] == ["database"]
    assert measured["threadkeep_database_up"] == 0
    await until(lambda: is_ready(running.nobody), 10)
    assert (await running.platform.get("/v1/tenants")).status == 200


async def test_readiness_does_not_rest_on_a_connection_of_long_ago(
    running: Running, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that probes ask by is made anew after a minute, here at once, and never a second."""
    assert await is_ready(running.nobody)
    monkeypatch.setattr(probes, "IDLE_SECONDS", 0.0)
    ping = running.app[SERVICES].probes._ping
    open_before = await one_value(database.superuser_url, _OPEN, database.name)
    for _ in range(5):
        await ping.ask(10.0)

    async def are_as_many() -> bool:
        now = await one_value(database.superuser_url, _OPEN, database.name)
        return bool(now == open_before)

    await until(are_as_many, 10, what="the number of connections")
    async with refusing(database):
        await until(lambda: is_not_ready(running.nobody), 10)
