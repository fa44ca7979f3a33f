"""What an installation needs around its schema: the database, and a login for the service."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from threadkeep.errors import Unavailable

APP: Final = "threadkeep_app"
"""The role of the service; migrations make it without a login."""
_SECONDS: Final = 10.0
_ITERATIONS: Final = 4096
"""PostgreSQL's own default: the password is a random one, not a person's."""
_LOCK: Final = 0x7468726C6F
"""Advisory lock of changes of a login: two at once would make one of them fail."""


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
    """Let a role log in with this ASCII password; two that do so at once take turns."""
    async with _connected(superuser_url) as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        # The server is told the verifier, because it may log statements.
        words = await connection.fetchval("SELECT quote_literal($1)", _verifier(password))
        await connection.execute(f"ALTER ROLE {_quoted(role)} LOGIN PASSWORD {words}")


def _verifier(password: str) -> str:
    """What a server keeps of an ASCII password for SCRAM-SHA-256 (RFC 5803)."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _ITERATIONS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    server = hmac.digest(salted, b"Server Key", "sha256")
    words = [b64encode(each).decode() for each in (salt, hashlib.sha256(client).digest(), server)]
    return "SCRAM-SHA-256${}:{}${}:{}".format(_ITERATIONS, *words)


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
