"""What the process says about its health."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final

from threadkeep.domain.entries import epoch_of
from threadkeep.errors import Unavailable
from threadkeep.storage.database import Database
from threadkeep.storage.probes import Ping

READY_SECONDS: Final = 1.0
"""Time the database has to answer a probe; orchestrators give up soon after."""
CACHED_SECONDS: Final = 1.0
"""How long an answer holds, so that many probes cost one query."""


class Probes:
    """Readiness and degraded parts."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ping = Ping(database)
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._failure: Unavailable | None = None
        self._parts: dict[str, Callable[[], bool]] = {}

    def watch(self, part: str, is_degraded: Callable[[], bool]) -> None:
        """Name `part` in the status while `is_degraded()`."""
        self._parts[part] = is_degraded

    async def aclose(self) -> None:
        """Ask no more."""
        await self._ping.aclose()

    @property
    def is_answered(self) -> bool:
        """Whether the database answered when it was asked last."""
        return self._failure is None

    async def look(self) -> None:
        """Ask the database, unless it was just asked."""
        async with self._asking:
            if monotonic() - self._asked_at > CACHED_SECONDS:
                self._failure = await self._ask()
                self._asked_at = monotonic()

    async def ready(self) -> None:
        """Raise `Unavailable` while the database does not answer."""
        await self.look()
        if self._failure is not None:
            raise Unavailable(self._failure.message) from self._failure

    async def degraded(self) -> list[str]:
        """Parts that do not work as they should; the service answers all the same."""
        parts = [name for name, is_degraded in self._parts.items() if is_degraded()]
        try:
            await self.ready()
        except Unavailable:
            parts.append("database")
        return sorted(parts)

    @property
    def epoch(self) -> str:
        """Changes when the history of the whole database may have been rewritten."""
        return epoch_of(self._database.salt, 0)

    async def _ask(self) -> Unavailable | None:
        try:
            await self._ping.ask(READY_SECONDS)
        except Unavailable as exc:
            return exc
        return None
