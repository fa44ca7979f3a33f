"""Whether the database answers."""

from __future__ import annotations

import asyncio

from threadkeep.errors import Unavailable
from threadkeep.storage.database import Database


async def ping(database: Database, seconds: float) -> None:
    """Raise `Unavailable` unless the database answers within `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            await database.call("SELECT 1")
    except TimeoutError as exc:
        raise Unavailable("The database did not answer in time.") from exc
