"""Broken appends: an answer that is given before there is anything to answer for."""

from __future__ import annotations

import itertools
from typing import Any

from threadkeep.storage import appender
from threadkeep.storage.appends import append_batch

from . import breaks, put

_EVERY = 10


@breaks("acknowledged-early")
def acknowledged_early() -> None:
    """A batch is acknowledged before its commit, and each tenth commit fails."""
    write, batches = appender._Lane._write, itertools.count(1)

    async def early(self: appender._Lane, items: list[Any], deadline: float) -> None:
        committed, grown = self._committed, list[Any]()
        self._committed = grown.extend  # subscribers are told in time; only the answer is early
        try:
            transaction = (await self._connected()).transaction()
            await transaction.start()
            await write(self, items, deadline)
            if next(batches) % _EVERY:
                await transaction.commit()
                committed(grown)
            else:
                await transaction.rollback()
        except Exception:  # noqa: BLE001 - the database is killed, too
            self._drop_connection()
        finally:
            self._committed = committed

    async def in_savepoint(connection: Any, items: list[Any]) -> Any:
        async with connection.transaction():
            return await append_batch(connection, items)

    put(appender._Lane, "_write", early)
    put(appender, "append_batch", in_savepoint)
