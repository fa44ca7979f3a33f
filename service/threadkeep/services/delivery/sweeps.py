"""Once a second: are the subscribed threads as this process believes? So no wake-up must arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from threadkeep.domain.entries import epoch_of
from threadkeep.errors import NotFound, Unavailable
from threadkeep.logs import get_logger
from threadkeep.services.delivery.feeds import Feed
from threadkeep.services.delivery.stage import Stage
from threadkeep.services.delivery.user_feeds import UserFeeds
from threadkeep.storage import snapshots
from threadkeep.storage.snapshots import Difference, Place

_log = get_logger(__name__)

SECONDS: Final = 1.0
_THREADS: Final = 2000
"""Threads asked about in one query."""


class Sweeps:
    """Compares what feeds have broadcast with the heads of their threads, and heals them."""

    def __init__(self, stage: Stage, feeds: Callable[[], list[Feed]], users: UserFeeds) -> None:
        self._stage = stage
        self._feeds = feeds
        self._users = users
        self._is_failing = False

    async def run(self) -> None:
        """Sweep until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + SECONDS, loop.time())
            await asyncio.sleep(due - loop.time())
            try:
                await self.sweep()
                self._is_failing = False
            except Unavailable as exc:
                self._stage.counts.failures += 1
                if not self._is_failing:  # once per outage
                    _log.warning("delivery.sweep_failed", error=exc.message)
                self._is_failing = True
            except Exception:  # noqa: BLE001 - logged; without sweeps a lost wake-up is lost for good
                self._stage.counts.failures += 1
                _log.exception("delivery.sweep_broke")

    async def sweep(self) -> None:
        """One sweep over all threads and users."""
        feeds = [feed for feed in self._feeds() if feed.is_joined]
        for start in range(0, len(feeds), _THREADS):
            await self._compare(feeds[start : start + _THREADS])
        if self._users:
            await self._users.sweep()
        self._stage.counts.sweeps += 1

    async def _compare(self, feeds: Sequence[Feed]) -> None:
        places = [Place(f.tenant, f.owner, f.thread, f.seq, f.salts) for f in feeds]
        epochs = [feed.epoch for feed in feeds]
        for found in await snapshots.compare_heads(self._stage.database, places):
            feed = feeds[found.place]
            if feed.members and feed.is_joined and feed.epoch == epochs[found.place]:
                self._heal(feed, places[found.place].seq, found)

    def _heal(self, feed: Feed, asked: int, found: Difference) -> None:
        if found.last_seq is None:
            feed.end(NotFound())
            return
        if epoch_of(found.salts[1], found.salts[0]) != feed.epoch or found.last_seq < asked:
            feed.fork()
            return
        feed.salts = found.salts
        if found.last_seq > feed.seq:
            self._stage.counts.repairs += not feed.is_reading(found.last_seq)
            feed.reach(found.last_seq)
        if found.is_streaming:
            feed.read_text()
