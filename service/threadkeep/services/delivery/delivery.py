"""Delivery: everything that is appended reaches every subscriber, over any number of processes.

The log is the truth and a subscription is a cursor in it. Entries of this process are broadcast
as they are committed; other processes send wake-ups, which may be lost; the sweep finds what
was not told. See `feeds` for the live end and `subscriptions` for the way to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec

from threadkeep.domain import ids
from threadkeep.domain.entries import (
    MESSAGE,
    THREAD_CREATED,
    THREAD_DELETED,
    THREAD_STATE_CHANGED,
    THREAD_UPDATED,
    Cursor,
    Entry,
)
from threadkeep.domain.principals import Principal
from threadkeep.services.delivery.feeds import Feed
from threadkeep.services.delivery.frames import Frame
from threadkeep.services.delivery.joins import Start
from threadkeep.services.delivery.registry import Registry
from threadkeep.services.delivery.stage import Counts, Stage
from threadkeep.services.delivery.streams import Delta
from threadkeep.services.delivery.subscriptions import Sink, Subscription
from threadkeep.services.delivery.sweeps import Sweeps
from threadkeep.services.delivery.tasks import Tasks
from threadkeep.services.delivery.user_feeds import UserFeeds, UserSubscription
from threadkeep.storage.appends import Appended, Item
from threadkeep.storage.database import Database
from threadkeep.storage.wakeups import STREAMING, TYPING, Wakeups

_MICROSECOND: Final = timedelta(microseconds=1)
_LISTED: Final = frozenset({THREAD_CREATED, THREAD_DELETED, THREAD_STATE_CHANGED, THREAD_UPDATED})
"""Entries that change what lists show at once."""


class Delivery:
    """One process' subscribers and what reaches them."""

    def __init__(self, database: Database, wakeups: Wakeups) -> None:
        self.counts = Counts()
        self.wakeups = wakeups
        self._tasks = Tasks("delivery")
        self._stage = Stage(database, self.counts, self._tasks)
        self._registry = Registry(self._stage, wakeups)
        self._users = UserFeeds(self._stage)
        self._sweeps = Sweeps(self._stage, self._registry.all_feeds, self._users)

    def start(self) -> None:
        """Start to listen and to sweep."""
        self.wakeups.start(self._on_wake)
        self._tasks.spawn(self._sweeps.run())

    async def aclose(self) -> None:
        """Stop; subscriptions get nothing more."""
        await self.wakeups.aclose()
        await self._tasks.aclose()

    def committed(self, grown: Sequence[tuple[Item, Appended]]) -> None:
        """Messages of one batch that are durable now. The hot path: cheap without subscribers."""
        send, feeds = self.wakeups.send, self._registry.threads
        owner, waiting = "", list[Entry]()
        for item, appended in grown:
            send(item.tenant, item.thread, appended.first_seq + len(item.drafts) - 1)
            if item.thread not in feeds:
                continue
            entries = _entries(item, appended)
            if waiting and not _follows(waiting[-1], entries[0]):
                self._offer(owner, waiting)
                waiting = []
            owner = item.owner
            waiting += entries
        if waiting:
            self._offer(owner, waiting)

    def publish(self, owner: str, entries: Sequence[Entry]) -> None:
        """Entries of one thread that are durable now."""
        last = entries[-1]
        self.wakeups.send(last.tenant, last.thread, last.seq)
        if last.thread in self._registry.threads:
            self._offer(owner, entries)
        if self._users and any(entry.kind in _LISTED for entry in entries):
            self.touched(last.tenant, owner)

    def publish_partial(  # noqa: PLR0913, PLR0917 - a callback of runs, which know no Delta
        self,
        tenant: str,
        owner: str,
        thread: str,
        run: str,
        message: str,
        offset: int,
        text: str,
    ) -> None:
        """Text of a message that is still streaming; `offset` counts characters before it."""
        self.wakeups.hint(tenant, thread, STREAMING)
        feed = self._registry.feed(tenant, owner, thread)
        if feed is not None and not self.wakeups.is_silent:
            feed.add_text(Delta(run, message, offset, text))

    def typing(self, principal: Principal, thread: str, but: Sink | None = None) -> None:
        """Tell the user's other connections on this thread that he is typing.

        Without effect where this process has no subscriber for the thread, so that nobody can
        name a thread that is not his.
        """
        feed = self._registry.feed(principal.tenant, principal.owner, thread)
        if feed is None or not feed.is_joined:
            return
        self.wakeups.hint(principal.tenant, thread, TYPING)
        if not self.wakeups.is_silent:
            feed.broadcast([_typing_frame(feed)], but=but)

    def touched(self, tenant: str, owner: str) -> None:
        """Something that the user's lists show has changed in this process."""
        if not self.wakeups.is_silent:
            self._users.touch(tenant, owner)

    async def subscribe(
        self,
        principal: Principal,
        thread: str,
        *,
        cursor: Cursor | None = None,
        after_seq: int | None = None,
        sink: Sink,
    ) -> Subscription:
        """Join a thread; nothing flows before `start` of what is returned.

        Raises `InvalidRequest`, `NotFound`, `Gone` and `Unavailable`.
        """
        start = Start(cursor, after_seq)
        feed = self._registry.open_feed(principal.tenant, principal.owner, thread)
        subscription = Subscription(feed, self._registry.open_outlet(sink), principal)
        try:
            # Registered first, read then: what is appended meanwhile is heard of or was read.
            await self.wakeups.heard(thread)
            await subscription.join(start)
        except BaseException:
            subscription.end()
            raise
        self.counts.joins += 1
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """The sink wants no more of this thread; may be repeated."""
        subscription.end()

    async def subscribe_user(self, principal: Principal, sink: Sink) -> UserSubscription:
        """Tell the sink of changes of the user's threads, as `user_feeds` describes.

        Raises `Unavailable`. What changes after the return reaches the sink.
        """
        return await self._users.subscribe(principal, sink)

    def unsubscribe_user(self, subscription: UserSubscription) -> None:
        """The sink wants no more of the user's feed; may be repeated."""
        self._users.unsubscribe(subscription)

    def subscriptions_of(self, sink: Sink) -> list[Subscription]:
        """The threads that a sink has subscribed."""
        outlet = self._registry.outlet(sink)
        return list(outlet.subscriptions) if outlet is not None else []

    def leave(self, sink: Sink) -> None:
        """The sink is gone: end everything that it has subscribed."""
        for subscription in self.subscriptions_of(sink):
            subscription.end()
        self._users.leave(sink)

    def _offer(self, owner: str, entries: Sequence[Entry]) -> None:
        first = entries[0]
        feed = self._registry.feed(first.tenant, owner, first.thread)
        if feed is not None and not self.wakeups.is_silent:
            feed.offer(entries)

    def _on_wake(self, tenant: str, thread: str, what: int | str) -> None:
        if thread not in self._registry.threads:
            return
        for feed in self._registry.of_thread(tenant, thread):
            if isinstance(what, int):
                feed.reach(what)
            elif what == STREAMING:
                feed.read_text()
            elif what == TYPING:
                feed.broadcast([_typing_frame(feed)])


def _entries(item: Item, appended: Appended) -> list[Entry]:
    return [
        Entry(
            tenant=item.tenant,
            thread=item.thread,
            epoch=appended.epoch,
            seq=appended.first_seq + n,
            id=draft.id,
            kind=MESSAGE,
            run=draft.run,
            body=draft.body,
            at=appended.at + _MICROSECOND * n,
        )
        for n, draft in enumerate(item.drafts)
    ]


def _follows(last: Entry, entry: Entry) -> bool:
    return entry.thread == last.thread and entry.seq == last.seq + 1


def _typing_frame(feed: Feed) -> Frame:
    """`{"v":1,"type":"typing","thread_id","payload":{"user_id"}}`; it has no seq."""
    frame = {
        "v": 1,
        "type": "typing",
        "thread_id": ids.to_public(ids.THREAD, feed.thread),
        "payload": {"user_id": feed.owner},
    }
    return Frame(msgspec.json.encode(frame))
