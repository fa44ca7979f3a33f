"""Wake-ups between processes: one interface, four ways, each allowed to lose any of them."""

from __future__ import annotations

from threadkeep.errors import SettingsError
from threadkeep.settings import Settings
from threadkeep.storage.database import Database
from threadkeep.storage.wakeups.alone import NoWakeups, ProcessWakeups
from threadkeep.storage.wakeups.base import STREAMING, TYPING, OnWake, Wakeups
from threadkeep.storage.wakeups.postgres import PostgresWakeups
from threadkeep.storage.wakeups.redis import RedisWakeups

__all__ = ["STREAMING", "TYPING", "OnWake", "Wakeups", "wakeups_for"]


def wakeups_for(settings: Settings, database: Database) -> Wakeups:
    """The way that the settings choose, not started."""
    match settings.wakeups:
        case "process":
            return ProcessWakeups()
        case "postgres":
            return PostgresWakeups(database)
        case "redis":
            if not settings.redis_url:
                raise SettingsError("THREADKEEP_WAKEUPS is redis, but no THREADKEEP_REDIS_URL.")
            return RedisWakeups(settings.redis_url)
        case "none":
            return NoWakeups()
