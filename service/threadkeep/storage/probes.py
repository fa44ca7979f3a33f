"""Whether the database answers."""

from __future__ import annotations

from threadkeep.storage.database import Database


async def ping(database: Database, seconds: float) -> None:
    """Raise `Unavailable` unless the database answers within `seconds`."""
    await database.call("SELECT 1", seconds=seconds)
