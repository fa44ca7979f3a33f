"""Raw SQL where a promise is about rows: as any role, and to make them older than they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg

APP = "threadkeep_app"
AUDITOR = "threadkeep_auditor"


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection as the administrator, whom row security does not hold back."""
    connection = await asyncpg.connect(dsn, timeout=10, statement_cache_size=0)
    try:
        yield connection
    finally:
        await connection.close(timeout=10)


@asynccontextmanager
async def as_role(
    dsn: str, role: str, *, tenant: str = "", owner: str = ""
) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A transaction as a role of the service, with or without a principal; rolled back."""
    async with connected(dsn) as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute(f"SET LOCAL ROLE {role}")
            await connection.execute(
                "SELECT set_config('threadkeep.tenant', $1, true),"
                " set_config('threadkeep.owner', $2, true)",
                tenant,
                owner,
            )
            yield connection
        finally:
            await transaction.rollback()


def digits(public: str) -> str:
    """The stored form of a public id."""
    return public.partition("_")[2]


class Clock:
    """Time that has passed for some rows."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def age_thread(self, thread: str, by: timedelta) -> None:
        """Let a thread, with all that is in it, be older than it is."""
        moved = {
            "threads": ("id", "created_at", "updated_at", "deleted_at", "last_activity_at"),
            "heads": ("thread_id", "last_at"),
            "entries": ("thread_id", "created_at"),
            "runs": ("thread_id", "created_at", "started_at", "ended_at"),
        }
        async with connected(self._dsn) as connection, connection.transaction():
            for table, (key, *columns) in moved.items():
                changes = ", ".join(f"{column} = {column} - $2::interval" for column in columns)
                await connection.execute(
                    f"UPDATE {table} SET {changes} WHERE {key} = $1", digits(thread), by
                )
