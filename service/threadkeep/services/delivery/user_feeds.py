"""The feed of a user: which of his threads are new or have changed, so that lists are live.

A frame has no seq of its own and carries the whole thread, so a later one replaces an earlier
one and none has to be kept: `{"v": 1, "type", "feed": "user", "thread_id", "thread": {…},
"last_seq", "unread"}`. `type` is `thread_created`, `thread_updated` (also for activity and for
unread counts), `thread_state_changed` or `thread_deleted`. `unread` counts messages after the
read marker, up to 100. Several changes within a moment may be one frame.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import msgspec

from threadkeep.domain import ids
from threadkeep.domain.entries import THREAD_DELETED, THREAD_UPDATED
from threadkeep.domain.principals import Principal
from threadkeep.domain.shapes import thread_object
from threadkeep.domain.threads import DELETED
from threadkeep.errors import Unavailable
from threadkeep.logs import get_logger
from threadkeep.services.delivery.frames import Frame
from threadkeep.services.delivery.stage import Stage
from threadkeep.services.delivery.subscriptions import Sink
from threadkeep.storage import snapshots
from threadkeep.storage.snapshots import Change, Watch

_log = get_logger(__name__)

_OVERLAP: Final = timedelta(seconds=10)
"""Changes are marked when they are made and seen when they commit; no transaction lasts longer."""
_TOUCH_SECONDS: Final = 0.02
"""Changes of this process are gathered for so long before they are read."""
_PAGE: Final = 200

_Shown = tuple[int, str, int, int, bool]


class UserSubscription:
    """One sink on the feed of its user."""

    __slots__ = ("feed", "sink")

    def __init__(self, feed: UserFeed, sink: Sink) -> None:
        self.feed = feed
        self.sink = sink


class UserFeed:
    """One user with subscribers in this process."""

    def __init__(self, tenant: str, owner: str) -> None:
        self.tenant = tenant
        self.owner = owner
        self.since: datetime | None = None
        """All that was marked as changed before is known; None before the first read."""
        self.members: set[UserSubscription] = set()
        self.is_primed = asyncio.Event()
        """Set once the feed knows what had changed before its first subscriber came."""
        self._shown: dict[str, tuple[_Shown, datetime]] = {}

    def frame(self, change: Change) -> Frame | None:
        """The frame of a change, unless it shows nothing new."""
        thread = change.thread
        shown = thread.version, thread.state, thread.last_seq, change.unread, thread.hold
        known = self._shown.get(thread.id)
        self._shown[thread.id] = shown, change.changed_at
        if not self.is_primed.is_set() or (known is not None and known[0] == shown):
            return None
        is_told = known is not None and change.kind_seq <= known[0][2]
        kind = THREAD_UPDATED if change.kind is None or is_told else change.kind
        if thread.state == DELETED:
            kind = THREAD_DELETED
        body = {
            "v": 1,
            "type": kind,
            "feed": "user",
            "thread_id": ids.to_public(ids.THREAD, thread.id),
            "thread": thread_object(thread),
            "last_seq": thread.last_seq,
            "unread": change.unread,
        }
        return Frame(msgspec.json.encode(body))

    def move_on(self, since: datetime) -> None:
        """Changes marked before `since` cannot come any more."""
        self.since = since
        old = [thread for thread, (_, at) in self._shown.items() if at < since]
        for thread in old:
            del self._shown[thread]


class UserFeeds:
    """All of them in one process; one query asks for the changes of all."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._feeds: dict[tuple[str, str], UserFeed] = {}
        self._of_sinks: dict[Sink, set[UserSubscription]] = {}
        self._touched: set[UserFeed] = set()
        self._is_waiting = False
        self._turn = asyncio.Lock()

    def __bool__(self) -> bool:
        return bool(self._feeds)

    async def subscribe(self, principal: Principal, sink: Sink) -> UserSubscription:
        """From its return on the sink is told of changes; raises `Unavailable`."""
        key = principal.tenant, principal.owner
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = UserFeed(*key)
        subscription = UserSubscription(feed, sink)
        feed.members.add(subscription)
        self._of_sinks.setdefault(sink, set()).add(subscription)
        self._stage.counts.subscriptions += 1
        try:
            if not feed.is_primed.is_set():
                await self._refresh([feed])
                feed.is_primed.set()
        except BaseException:
            self.unsubscribe(subscription)
            raise
        return subscription

    def unsubscribe(self, subscription: UserSubscription) -> None:
        """The sink hears no more; may be repeated."""
        feed = subscription.feed
        if subscription not in feed.members:
            return
        feed.members.discard(subscription)
        of_sink = self._of_sinks[subscription.sink]
        of_sink.discard(subscription)
        if not of_sink:
            del self._of_sinks[subscription.sink]
        self._stage.counts.subscriptions -= 1
        if not feed.members:
            del self._feeds[feed.tenant, feed.owner]

    def leave(self, sink: Sink) -> None:
        """The sink is gone."""
        for subscription in tuple(self._of_sinks.get(sink, ())):
            self.unsubscribe(subscription)

    def touch(self, tenant: str, owner: str) -> None:
        """This process has changed a thread of the user."""
        feed = self._feeds.get((tenant, owner))
        if feed is None:
            return
        self._touched.add(feed)
        if not self._is_waiting:
            self._is_waiting = True
            self._stage.tasks.spawn(self._read_touched())

    async def sweep(self) -> None:
        """Read the changes of all users; raises `Unavailable`."""
        await self._refresh([feed for feed in self._feeds.values() if feed.is_primed.is_set()])

    async def _read_touched(self) -> None:
        await asyncio.sleep(_TOUCH_SECONDS)
        self._is_waiting = False
        touched, self._touched = self._touched, set()
        try:
            await self._refresh([feed for feed in touched if feed.is_primed.is_set()])
        except Unavailable:
            self._stage.counts.failures += 1  # the sweep reads it

    async def _refresh(self, feeds: list[UserFeed]) -> None:
        async with self._turn:  # so that an older answer never follows a newer one
            if not feeds:
                return
            database = self._stage.database
            since = await snapshots.recently(database, _OVERLAP)
            pages = [(f, Watch(f.tenant, f.owner, f.since or since)) for f in feeds]
            while pages:
                changes = await snapshots.changed_threads(database, [w for _, w in pages], _PAGE)
                of_page = [[c for c in changes if c.watch == n] for n in range(len(pages))]
                for (feed, _), news in zip(pages, of_page, strict=True):
                    self._tell(feed, news)
                pages = [
                    (feed, replace(watch, since=news[-1].changed_at, after=news[-1].thread.id))
                    for (feed, watch), news in zip(pages, of_page, strict=True)
                    if len(news) == _PAGE
                ]
            for feed in feeds:
                feed.move_on(since)

    def _tell(self, feed: UserFeed, changes: Iterable[Change]) -> None:
        frames = [frame for change in changes if (frame := feed.frame(change)) is not None]
        if not frames:
            return
        for subscription in tuple(feed.members):
            try:
                subscription.sink.push(frames)
            except Exception:  # noqa: BLE001 - one reader's mistake must not stall the others
                self._stage.counts.sink_failures += 1
                _log.exception("delivery.sink_failed", feed="user")
                self.unsubscribe(subscription)
