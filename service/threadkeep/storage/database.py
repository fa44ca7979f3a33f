"""Connections to PostgreSQL: a fixed budget, principals and time limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Literal

import asyncpg

from threadkeep.domain.principals import Principal
from threadkeep.errors import DependencyError, ThreadkeepError, Unavailable
from threadkeep.logs import get_logger
from threadkeep.settings import Settings
from threadkeep.storage import revision
from threadkeep.storage.failures import AWAY, LOST, connecting, explained, wrap_errors

if TYPE_CHECKING:  # generic for the type checker alone
    Connection = asyncpg.Connection[Any] | asyncpg.pool.PoolConnectionProxy[Any]
else:
    Connection = asyncpg.Connection
Record = asyncpg.Record
_log = get_logger(__name__)

IDLE_SECONDS: Final = 60.0
"""After which a connection that nobody has used is closed: what a server allows may change."""
_CONNECT_SECONDS: Final = 3.0
_GRACE_SECONDS: Final = 1.0
"""So much later than its caller the server itself gives a statement up."""


class Database:
    """The pool of one process.

    A caller has a connection and its first answer within `request_seconds`, or `Unavailable`;
    each further statement may take as long.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seconds = settings.request_seconds
        self._pool: asyncpg.Pool[Any] | None = None
        self._is_known = False
        self.salt = 0
        """Salt of the database when it was last connected to; reads and appends return theirs."""

    async def open(self) -> None:
        """Connect, and refuse a server or schema that would break promises."""
        with wrap_errors():
            with explained():
                self._pool = await self._open_pool()
            try:
                async with self.transaction(None) as connection:
                    await self._check(connection)
            except asyncpg.UndefinedFunctionError as exc:
                raise DependencyError("The schema is missing: run `threadkeep migrate`.") from exc

    async def aclose(self) -> None:
        """Close all connections; what is still busy after two seconds is cut."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            await asyncio.wait_for(pool.close(), 2.0)
        except (TimeoutError, *AWAY):
            pool.terminate()

    @property
    def pool_size(self) -> int:
        """Connections that requests share."""
        return self._settings.pool_connections

    def usage(self) -> tuple[int, int]:
        """(open, in use) connections of the pool, for metrics."""
        if self._pool is None:
            return 0, 0
        size = self._pool.get_size()
        return size, size - self._pool.get_idle_size()

    async def connect(self, *, direct: bool = False) -> asyncpg.Connection[Any]:
        """A connection of its own, out of the pool: an append lane, LISTEN or probes."""
        url = self._settings.direct_url if direct else self._settings.database_url
        pooled = self._settings.database_pooled and not direct
        connection: asyncpg.Connection[Any] = await asyncpg.connect(
            url, **self._options(is_pooled=pooled)
        )
        try:
            await self._adopt(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def call(self, query: str, *args: Any) -> list[Record]:
        """One statement in one round trip, committed by itself."""
        until = self._deadline()
        with wrap_errors():
            async with self._acquire(until) as connection:
                rows: list[Record] = await connection.fetch(query, *args, timeout=_left(until))
                return rows

    async def write(self, query: str, *args: Any) -> list[Record]:
        """`call` for a statement that changes something without a key by which it is repeated.

        Where the answer is lost, `Unavailable` says that the outcome is unknown.
        """
        until = self._deadline()
        with wrap_errors():
            async with self._acquire(until) as connection:
                try:
                    rows: list[Record] = await connection.fetch(query, *args, timeout=_left(until))
                except LOST as exc:
                    connection.terminate()
                    raise Unavailable(None, outcome_unknown=True) from exc
                return rows

    @asynccontextmanager
    async def transaction(
        self,
        principal: Principal | None,
        *,
        isolation: Literal["read_committed", "repeatable_read"] = "read_committed",
        readonly: bool = False,
    ) -> AsyncIterator[Connection]:
        """A transaction in which row security shows what `principal` may see.

        Raises `Unavailable`; with `outcome_unknown` when the connection was lost while the
        commit was under way.
        """
        tenant = principal.tenant if principal else None
        owner = principal.owner if principal else None
        async with self.transaction_as(
            tenant, owner, isolation=isolation, readonly=readonly
        ) as connection:
            yield connection

    @asynccontextmanager
    async def transaction_as(
        self,
        tenant: str | None,
        owner: str | None,
        *,
        isolation: Literal["read_committed", "repeatable_read"] = "read_committed",
        readonly: bool = False,
    ) -> AsyncIterator[Connection]:
        """The same for a bare tenant and owner, such as configuration of a tenant (no owner)."""
        until = self._deadline()
        with wrap_errors():
            async with self._acquire(until) as connection:
                transaction = connection.transaction(isolation=isolation, readonly=readonly)
                try:
                    async with asyncio.timeout_at(until):
                        await transaction.start()
                        await connection.fetchval("SELECT set_principal($1, $2)", tenant, owner)
                    yield connection
                except BaseException as exc:
                    await _roll_back(connection, transaction, exc)
                    raise
                await _commit(connection, transaction, readonly=readonly)

    def _deadline(self) -> float:
        """When a caller that begins now must have an answer, by the clock of the event loop."""
        return asyncio.get_running_loop().time() + self._seconds

    @asynccontextmanager
    async def _acquire(self, until: float) -> AsyncIterator[Connection]:
        pool = self._pool
        if pool is None:
            raise Unavailable("The service is stopping.")
        try:
            with connecting():
                connection = await pool.acquire(timeout=_left(until))
        except TimeoutError as exc:
            raise Unavailable("All database connections are busy.") from exc
        try:
            yield connection
        except LOST:
            connection.terminate()  # it would be waited for once more
            raise
        finally:
            await pool.release(connection, timeout=self._seconds)

    async def _open_pool(self) -> asyncpg.Pool[Any]:
        return await asyncpg.create_pool(
            self._settings.database_url,
            min_size=1,
            max_size=self.pool_size,
            max_inactive_connection_lifetime=IDLE_SECONDS,
            init=self._adopt,
            reset=_no_reset,
            **self._options(is_pooled=self._settings.database_pooled),
        )

    def _options(self, *, is_pooled: bool) -> dict[str, Any]:
        """Of every connection. The server ends by itself what nobody waits for any more.

        PgBouncer takes no such setting from its clients; its own is `query_timeout`.
        """
        limit = f"{(self._seconds + _GRACE_SECONDS) * 1000:.0f}"
        return {
            "timeout": _CONNECT_SECONDS,
            "command_timeout": self._seconds,
            "statement_cache_size": 0 if is_pooled else 100,
            "server_settings": {} if is_pooled else {"statement_timeout": limit},
        }

    async def _adopt(self, connection: Connection) -> None:
        """Find out on every new connection whether this still is the same history.

        A standby that was promoted meanwhile may lack what was acknowledged and delivered; its
        readers need another epoch before anything is read or appended.
        """
        if self._is_known:
            row = await fetch_one(connection, "SELECT salt, changed FROM adopt_installation()")
            self.salt = row["salt"]
            if row["changed"]:
                _log.warning("database.another_history")

    async def _check(self, connection: Connection) -> None:
        settings = await fetch_one(
            connection,
            "SELECT current_setting('server_version_num')::int AS version,"
            " current_setting('fsync') AS fsync,"
            " current_setting('synchronous_commit') AS commit",
        )
        if settings["version"] < revision.MINIMUM_VERSION:
            raise DependencyError("PostgreSQL 17 or later is needed.")
        unsafe = "off" in (settings["fsync"], settings["commit"])
        if unsafe and not self._settings.unsafe_durability:
            raise DependencyError(
                "fsync or synchronous_commit is off: appends would not be durable."
            )
        row = await connection.fetchrow("SELECT * FROM adopt_installation()")
        if row is None or row["revision"] < revision.HEAD:
            raise DependencyError(
                "The schema is older than this version: run `threadkeep migrate`."
            )
        self.salt = row["salt"]
        self._is_known = True


async def _no_reset(_connection: Any) -> None:
    """Principals are local to their transaction, so a released connection carries nothing over."""


def _left(until: float) -> float:
    """Seconds up to a deadline; never 0, which the driver takes for no limit."""
    return max(0.001, until - asyncio.get_running_loop().time())


async def _roll_back(connection: Connection, transaction: Any, exc: BaseException) -> None:
    if connection.is_closed():
        return
    if isinstance(exc, LOST):  # the server rolls back what loses its connection
        connection.terminate()
        return
    try:
        await transaction.rollback()
    except AWAY:
        connection.terminate()


async def _commit(connection: Connection, transaction: Any, *, readonly: bool) -> None:
    try:
        await transaction.commit()
    except AWAY as exc:
        if isinstance(exc, LOST):
            connection.terminate()
        raise Unavailable(None, outcome_unknown=not readonly) from exc


async def fetch_one(connection: Connection, query: str, *args: Any) -> Record:
    """The one row that `query` always has."""
    row: Record | None = await connection.fetchrow(query, *args)
    if row is None:
        raise ThreadkeepError
    return row


def first(rows: Sequence[Record]) -> Record | None:
    """The first row, or None."""
    return rows[0] if rows else None
