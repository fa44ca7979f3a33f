"""Wake-ups by PostgreSQL's notifications: one channel, one connection of its own.

They are sent after the commit and never inside its transaction, where NOTIFY would make all
commits of the database wait for each other.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

import asyncpg
from typing_extensions import override

from threadkeep.storage.database import Database
from threadkeep.storage.wakeups.base import Coalesced

CHANNEL: Final = "threadkeep"
_PAYLOAD_BYTES: Final = 7900
"""PostgreSQL takes payloads below 8000 bytes."""
_ASK_SECONDS: Final = 5.0
"""An idle connection is asked this often whether it still exists."""


class PostgresWakeups(Coalesced):
    """LISTEN and NOTIFY on a direct connection."""

    name = "postgres"
    failures_of = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    @override
    async def _connected(self) -> None:
        connection = await self._database.connect(direct=True)
        try:
            connection.add_termination_listener(self._ended)
            await connection.add_listener(CHANNEL, self._heard)
            self._came()
            while not self._is_closing:
                before = self.sent
                await self._send(connection)
                await self._pause(self.sent - before)
        finally:
            connection.terminate()

    async def _send(self, connection: asyncpg.Connection[Any]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ASK_SECONDS):
                await self._waiting.wait()
        if connection.is_closed():
            raise ConnectionResetError
        await connection.execute(
            "SELECT pg_notify($1, p) FROM unnest($2::text[]) AS p", CHANNEL, self._payloads()
        )

    def _payloads(self) -> list[str]:
        payloads: list[str] = []
        items: list[str] = []
        size = 0
        for _, item in self._take():
            size += len(item) + 1
            if size > _PAYLOAD_BYTES - len(self._origin):
                payloads.append(self._say(items))
                items, size = [], len(item) + 1
            items.append(item)
        return [*payloads, self._say(items)] if items else payloads

    def _heard(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        self._hear(str(payload))

    def _ended(self, _connection: Any) -> None:
        self._waiting.set()  # so that the sender looks
