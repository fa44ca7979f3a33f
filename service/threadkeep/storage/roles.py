"""What an installation needs around its schema: the database, and a login for the service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from threadkeep.errors import Unavailable

APP: Final = "threadkeep_app"
"""The role of the service; migrations make it without a login."""
_SECONDS: Final = 10.0


async def create_database(superuser_url: str, name: str) -> bool:
    """Create a database unless it is there; True when it is new."""
    async with _connected(superuser_url) as connection:
        if await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
            return False
        await connection.execute(f"CREATE DATABASE {_quoted(name)}", timeout=60)
        return True


async def schema_revision(superuser_url: str) -> str | None:
    """The revision of the schema; None in a database without one."""
    async with _connected(superuser_url) as connection:
        if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
            return None
        revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
        return revision


async def allow_login(superuser_url: str, role: str, password: str) -> None:
    """Let a role log in with this password."""
    async with _connected(superuser_url) as connection:
        words = await connection.fetchval("SELECT quote_literal($1)", password)
        await connection.execute(f"ALTER ROLE {_quoted(role)} LOGIN PASSWORD {words}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    try:
        connection = await asyncpg.connect(url, timeout=_SECONDS, command_timeout=_SECONDS)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
        raise Unavailable(f"The database cannot be reached: {exc}") from exc
    try:
        yield connection
    finally:
        await connection.close(timeout=_SECONDS)
