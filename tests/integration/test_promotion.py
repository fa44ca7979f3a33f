"""A standby takes over, and may lack what was acknowledged: its history is another one."""

from __future__ import annotations

from pathlib import Path

from tests.support.postgres import Database as Given
from tests.support.postgres import one_value, superuser
from tests.support.waiting import until
from threadkeep.embedded.postgres import PostgresServer
from threadkeep.errors import Unavailable
from threadkeep.settings import load
from threadkeep.storage.database import Database


async def test_a_promoted_standby_is_noticed_by_processes_that_live_through_it(
    crash_server: PostgresServer, crash_database: Given, tmp_path: Path
) -> None:
    """Not at some later start: cursors of the old history must never be resumed in the new."""
    database = Database(load(crash_database.service_environment()))
    await database.open()
    before = database.salt
    await database.call("SELECT 1")
    crash_server.stop()
    (tmp_path / "postgres" / "standby.signal").touch()
    crash_server.start()
    async with superuser(crash_server.url("postgres")) as connection:
        assert await connection.fetchval("SELECT pg_is_in_recovery()")
        assert await connection.fetchval("SELECT pg_promote()")

    async def answers() -> bool:
        try:
            return bool(await database.call("SELECT 1"))
        except Unavailable:
            return False

    await until(answers, 20, what="an answer")
    after = await one_value(crash_database.superuser_url, "SELECT salt FROM installation")
    await database.aclose()

    assert after != before
    assert database.salt == after
