"""Reads the text of streaming messages for feeds that were told that there is more."""

from __future__ import annotations

import asyncio
from typing import Final

from threadkeep.domain.principals import system_principal
from threadkeep.domain.snapshots import PartialMessage
from threadkeep.errors import Unavailable
from threadkeep.logs import get_logger
from threadkeep.services.delivery.feeds import Feed
from threadkeep.services.delivery.stage import Stage
from threadkeep.storage import snapshots

_log = get_logger(__name__)

_AGAIN_SECONDS: Final = 0.3
"""Text is kept every 250 ms: after this what a hint announced is there."""
_TRIES: Final = 3


class TextReader:
    """At most one read of a feed at a time; hints that come meanwhile cause one more."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._is_wanted: dict[Feed, bool] = {}
        """Feeds that are being read for: whether there was a hint since that read began."""

    def wake(self, feed: Feed) -> None:
        """There is more text, or will be in a moment."""
        if feed in self._is_wanted:
            self._is_wanted[feed] = True
        elif feed.is_joined:
            self._is_wanted[feed] = True
            self._stage.tasks.spawn(self._run(feed))

    async def _run(self, feed: Feed) -> None:
        tries = _TRIES
        try:
            while tries and feed.members:
                self._is_wanted[feed] = False
                tries = _TRIES if await self._read(feed) else tries - 1
                if not self._is_wanted[feed] or feed.streams.has_holes:
                    await asyncio.sleep(_AGAIN_SECONDS)
        except Unavailable as exc:
            self._stage.counts.failures += 1
            _log.warning("delivery.text_failed", thread_id=feed.thread, error=exc.message)
        finally:
            del self._is_wanted[feed]

    async def _read(self, feed: Feed) -> bool:
        """Read once; True when that gave new text."""
        epoch = feed.epoch
        last_seq, partials = await self._partials(feed)
        if feed.epoch != epoch or last_seq < feed.seq:
            return False  # older than what was broadcast: it may have been finished since
        deltas = feed.streams.merge(partials)
        feed.say(deltas)
        return bool(deltas)

    async def _partials(self, feed: Feed) -> tuple[int, list[PartialMessage]]:
        place = feed.tenant, feed.owner, feed.thread
        async with self._stage.database.transaction(
            system_principal(feed.tenant, feed.owner), isolation="repeatable_read", readonly=True
        ) as connection:
            last_seq = await snapshots.read_last_seq(connection, *place)
            return last_seq or 0, await snapshots.read_partials(connection, *place)
