"""Whether the database answers."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

import asyncpg

from threadkeep.storage.database import IDLE_SECONDS, Database
from threadkeep.storage.failures import connecting, wrap_errors


class Ping:
    """Asks the database by a connection that nobody else uses.

    A pool whose connections are all busy says nothing about the database, and a process that then
    called itself not ready would leave its requests to the others, which have as many. It is made
    anew as often as idle ones of the pool are, or it would not be noticed that none can be made.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: asyncpg.Connection[Any] | None = None
        self._made = 0.0

    async def ask(self, seconds: float) -> None:
        """Raise `Unavailable` unless the database answers within `seconds`."""
        with wrap_errors(), connecting():
            try:
                async with asyncio.timeout(seconds):
                    await self._ask()
            except BaseException:
                await self.aclose()
                raise

    async def aclose(self) -> None:
        """Drop the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _ask(self) -> None:
        if monotonic() - self._made > IDLE_SECONDS:
            await self.aclose()
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._database.connect()
            self._made = monotonic()
        await self._connection.execute("SELECT 1")
