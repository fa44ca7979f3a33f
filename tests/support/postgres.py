"""Databases for tests: one migrated template per server, cloned for every test."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from threadkeep.embedded.postgres import PostgresServer
from threadkeep.storage import migrate

Result = TypeVar("Result")

APP = "threadkeep_app"
AUDITOR = "threadkeep_auditor"
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Database:
    """A migrated database of its own and the URLs of those who use it."""

    name: str
    superuser_url: str
    app_url: str
    auditor_url: str
    is_crash_safe: bool
    """Whether the server syncs its commits to disk; where it does not, the service must be told."""

    def service_environment(self) -> dict[str, str]:
        """Settings with which a service uses this database directly."""
        return {
            "THREADKEEP_DATABASE_URL": self.app_url,
            "THREADKEEP_DATABASE_DIRECT_URL": self.app_url,
            "THREADKEEP_UNSAFE_DURABILITY": "false" if self.is_crash_safe else "true",
        }


class Databases:
    """The template on one server, and its clones.

    One clone more than was asked for is made while the tests go on: each takes a tenth of a second,
    and most tests need one.
    """

    def __init__(
        self, superuser_url: str, *, is_crash_safe: bool, template: str | None = None
    ) -> None:
        self._url = superuser_url
        self._is_crash_safe = is_crash_safe
        # Others may use the same server at the same time.
        self._template = template or f"threadkeep_template_{secrets.token_hex(4)}"
        self._maker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="databases")
        self._lock = threading.Lock()
        self._spare: Future[str] | None = None

    def prepare(self) -> None:
        """Make the template and let the roles that its migration makes log in."""
        in_thread(lambda: asyncio.run(self._execute(f"CREATE DATABASE {self._template}")))
        in_thread(lambda: migrate.upgrade(with_login(self._url, self._template)))
        in_thread(lambda: asyncio.run(self._let_in(APP, AUDITOR)))

    def remove(self) -> None:
        """Drop the template, and the clone that nobody has asked for."""
        spare, self._spare = self._spare, None
        if spare is not None:
            run_now(self.drop(spare.result()))
        self._maker.shutdown()
        in_thread(lambda: asyncio.run(self.drop(self._template)))

    async def create(self) -> Database:
        """A clone of the template."""
        name = await asyncio.wrap_future(self._take())
        return Database(
            name=name,
            superuser_url=with_login(self._url, name),
            app_url=with_login(self._url, name, APP, self.password(APP)),
            auditor_url=with_login(self._url, name, AUDITOR, self.password(AUDITOR)),
            is_crash_safe=self._is_crash_safe,
        )

    def _take(self) -> Future[str]:
        # Tests that run at once ask from threads of their own.
        with self._lock:
            taken = self._spare or self._maker.submit(self._make)
            self._spare = self._maker.submit(self._make)
            return taken

    def _make(self) -> str:
        name = f"threadkeep_test_{secrets.token_hex(6)}"
        asyncio.run(self._execute(f"CREATE DATABASE {name} TEMPLATE {self._template}"))
        return name

    async def drop(self, name: str) -> None:
        """Drop a database, whoever is connected."""
        await self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def password(self, role: str) -> str:
        """With which a role logs in; empty where the server asks for none."""
        # Made from the superuser's, so that test runs on one server agree about it.
        secret = urlsplit(self._url).password
        return hashlib.sha256(f"{role}:{secret}".encode()).hexdigest() if secret else ""

    async def _let_in(self, *roles: str) -> None:
        for role in roles:
            password = self.password(role)
            await self._execute(
                f"ALTER ROLE {role} LOGIN" + (f" PASSWORD '{password}'" if password else "")
            )

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self._url, timeout=_CONNECT_SECONDS)
        try:
            await connection.execute(statement, timeout=60)
        finally:
            await connection.close(timeout=_CONNECT_SECONDS)


def local_server(folder: Path, *, is_crash_safe: bool = False) -> PostgresServer:
    """A server on a Unix socket, not started; without durability it is several times faster."""
    return PostgresServer(
        folder / "postgres",
        fsync=is_crash_safe,
        settings={"max_connections": "300", "max_prepared_transactions": "0"},
    )


def copy_directory(made: Path, copy: Path) -> None:
    """A stopped server's data directory once more; its empty stretches are not written."""
    subprocess.run(["cp", "--archive", "--sparse=always", made, copy], check=True, timeout=60)


def with_login(url: str, database: str, user: str | None = None, password: str = "") -> str:
    """The same server with another database and, where given, another user."""
    parts = urlsplit(url)
    netloc = parts.netloc
    if user is not None:
        login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        netloc = f"{login}@{netloc.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=netloc, path=f"/{database}"))


def in_thread(function: Callable[[], Result]) -> Result:
    """Call it in a thread of its own, where `asyncio.run` does not meet the test's event loop."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        return executor.submit(function).result()


async def one_value(url: str, query: str, *arguments: Any) -> Any:
    """The first value of a query on a connection of its own."""
    connection = await asyncpg.connect(url, timeout=_CONNECT_SECONDS)
    try:
        return await connection.fetchval(query, *arguments, timeout=30)
    finally:
        await connection.close(timeout=_CONNECT_SECONDS)


def run_now(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine, for fixtures that live longer than a test's event loop."""
    return in_thread(lambda: asyncio.run(coroutine))


@asynccontextmanager
async def superuser(url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection of its own, closed afterwards."""
    connection = await asyncpg.connect(url, timeout=_CONNECT_SECONDS)
    try:
        yield connection
    finally:
        await connection.close(timeout=_CONNECT_SECONDS)
