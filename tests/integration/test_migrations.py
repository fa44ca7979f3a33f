"""Migrations beside running services: they wait, they let others through, they never go back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.config import Config

from threadkeep.errors import Unavailable
from threadkeep.storage import migrate, roles

from ..conftest import Deploy, start_postgres
from ..support.postgres import APP, Database, local_server, one_value, with_login
from ..support.programs import free_port
from ..support.waiting import until


async def revision(database: Database) -> str:
    found: str = await one_value(database.superuser_url, "SELECT version_num FROM alembic_version")
    return found


async def test_a_newer_schema_is_left_alone(database: Database) -> None:
    """What a pod of the old version finds after a rollback."""
    await one_value(database.superuser_url, "UPDATE alembic_version SET version_num = '9999'")

    await asyncio.to_thread(migrate.upgrade, database.superuser_url)

    assert await revision(database) == "9999"


async def test_an_unknown_schema_that_is_not_newer_is_refused(database: Database) -> None:
    await one_value(database.superuser_url, "UPDATE alembic_version SET version_num = '0000'")

    with pytest.raises(Exception, match="0000"):
        await asyncio.to_thread(migrate.upgrade, database.superuser_url)


async def test_a_table_in_use_is_waited_for_without_holding_up_others(database: Database) -> None:
    """A migration that queues for a lock makes everybody queue behind it: it gives up soon."""
    holder = await asyncpg.connect(database.superuser_url)
    reader = await asyncpg.connect(database.superuser_url)
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("LOCK TABLE entries IN ACCESS SHARE MODE")
    try:
        with another_change():
            migration = asyncio.create_task(
                asyncio.to_thread(migrate.upgrade, database.superuser_url, wait_seconds=30)
            )
            await until(lambda: reader.fetchval(WAITS_FOR_A_TABLE), 10)
            # Queues behind the migration, and passes when that gives up; not only at its end.
            await reader.fetchval("SELECT count(*) FROM entries", timeout=10)
            assert not migration.done()
            await transaction.rollback()
            await migration
    finally:
        await holder.close()
        await reader.close()


WAITS_FOR_A_TABLE = (
    "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database d ON d.oid = database"
    " WHERE d.datname = current_database() AND locktype = 'relation' AND NOT granted)"
)


@contextmanager
def another_change() -> Iterator[None]:
    """In place of the next migration: one that needs a table for itself."""
    with pytest.MonkeyPatch.context() as patch:

        def change(config: Config, _revision: str) -> None:
            config.attributes["connection"].exec_driver_sql(
                "ALTER TABLE entries ADD COLUMN later text"
            )

        patch.setattr(command, "upgrade", change)
        yield


def test_a_database_that_is_away_is_waited_for() -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    begun = time.monotonic()

    with pytest.raises(Unavailable):
        migrate.upgrade(url, wait_seconds=0.5)

    assert time.monotonic() - begun > 0.5


async def test_the_owner_of_the_database_need_not_be_a_superuser(
    tmp_path: Path, deploy: Deploy
) -> None:
    """What a managed server gives: a role that makes roles, and a database of its own."""
    server = local_server(tmp_path)
    start_postgres(server)
    try:
        for statement in ("CREATE ROLE boss LOGIN CREATEROLE", "CREATE DATABASE kept OWNER boss"):
            await one_value(server.url("postgres"), statement)
        boss = with_login(server.url("postgres"), "kept", "boss")

        for step in (migrate.upgrade, migrate.check, migrate.upgrade):
            await asyncio.to_thread(step, boss)
        await roles.allow_login(boss, APP, "password")

        assert await one_value(boss, "SELECT current_setting('is_superuser')") == "off"
        app = with_login(boss, "kept", APP)
        database = Database(
            name="kept", superuser_url=boss, app_url=app, auditor_url="", is_crash_safe=False
        )
        await deploy(database, processes=1)
    finally:
        server.stop()
