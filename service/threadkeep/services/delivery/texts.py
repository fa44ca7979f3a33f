"""Reads the text of streaming messages for one feed, when it is told that there is more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from threadkeep.domain.principals import system_principal
from threadkeep.domain.snapshots import PartialMessage
from threadkeep.errors import Unavailable
from threadkeep.logs import get_logger
from threadkeep.storage import snapshots

if TYPE_CHECKING:
    from threadkeep.services.delivery.feeds import Feed

_log = get_logger(__name__)

_AGAIN_SECONDS: Final = 0.3
"""Text is kept every 250 ms: after this what a hint announced is there."""
_TRIES: Final = 3


class TextReader:
    """At most one read at a time; hints that come meanwhile cause one more."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._is_reading = False
        self._is_wanted = False

    def wake(self) -> None:
        """There is more text, or will be in a moment."""
        self._is_wanted = True
        if not self._is_reading and self._feed.is_joined:
            self._is_reading = True
            self._feed.stage.tasks.spawn(self._run())

    async def _run(self) -> None:
        tries = _TRIES
        try:
            while tries and self._feed.members:
                self._is_wanted = False
                tries = _TRIES if await self._read() else tries - 1
                if not self._is_wanted or self._feed.streams.has_holes:
                    await asyncio.sleep(_AGAIN_SECONDS)
        except Unavailable as exc:
            self._feed.stage.counts.failures += 1
            _log.warning("delivery.text_failed", thread_id=self._feed.thread, error=exc.message)
        finally:
            self._is_reading = False

    async def _read(self) -> bool:
        """Read once; True when that gave new text."""
        feed = self._feed
        epoch = feed.epoch
        last_seq, partials = await self._partials()
        if feed.epoch != epoch or last_seq < feed.seq:
            return False  # older than what was broadcast: it may have been finished since
        deltas = feed.streams.merge(partials)
        feed.say(deltas)
        return bool(deltas)

    async def _partials(self) -> tuple[int, list[PartialMessage]]:
        feed = self._feed
        place = feed.tenant, feed.owner, feed.thread
        async with feed.stage.database.transaction(
            system_principal(feed.tenant, feed.owner), isolation="repeatable_read", readonly=True
        ) as connection:
            last_seq = await snapshots.read_last_seq(connection, *place)
            return last_seq or 0, await snapshots.read_partials(connection, *place)
