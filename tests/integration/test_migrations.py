"""Migrations beside running services: they wait, they let others through, they never go back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import pytest
from alembic import command
from alembic.config import Config

from threadkeep.errors import Unavailable
from threadkeep.storage import migrate

from ..support.postgres import Database, one_value
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
