"""Which threads this process has subscribers for, and which of them each sink has."""

from __future__ import annotations

from threadkeep.services.delivery.feeds import Feed
from threadkeep.services.delivery.stage import Stage
from threadkeep.services.delivery.subscriptions import Outlet, Sink
from threadkeep.services.delivery.texts import TextReader
from threadkeep.storage.wakeups import Wakeups


class Registry:
    """Feeds and outlets exist as long as something is subscribed."""

    def __init__(self, stage: Stage, wakeups: Wakeups) -> None:
        self._stage = stage
        self._wakeups = wakeups
        self._texts = TextReader(stage)
        self.threads: dict[str, dict[tuple[str, str], Feed]] = {}
        """By thread, then by (tenant, owner): one, unless somebody asks for a foreign thread."""
        self._outlets: dict[Sink, Outlet] = {}

    def feed(self, tenant: str, owner: str, thread: str) -> Feed | None:
        """The feed of a thread, if it has subscribers."""
        here = self.threads.get(thread)
        return here.get((tenant, owner)) if here is not None else None

    def of_thread(self, tenant: str, thread: str) -> list[Feed]:
        """The same where the owner is not known."""
        here = self.threads.get(thread)
        return [feed for feed in here.values() if feed.tenant == tenant] if here else []

    def all_feeds(self) -> list[Feed]:
        """Every feed."""
        return [feed for here in self.threads.values() for feed in here.values()]

    def open_feed(self, tenant: str, owner: str, thread: str) -> Feed:
        """The feed of a thread that is about to get a subscriber."""
        feed = self.feed(tenant, owner, thread)
        if feed is None:
            feed = Feed(self._stage, tenant, owner, thread, self._close_feed, self._texts.wake)
            self.threads.setdefault(thread, {})[tenant, owner] = feed
            self._wakeups.watch(thread)
        return feed

    def outlet(self, sink: Sink) -> Outlet | None:
        """The threads that a sink has subscribed, if any."""
        return self._outlets.get(sink)

    def open_outlet(self, sink: Sink) -> Outlet:
        """The outlet of a sink that is about to subscribe a thread."""
        outlet = self._outlets.get(sink)
        if outlet is None:
            outlet = self._outlets[sink] = Outlet(sink, self._close_outlet)
        return outlet

    def _close_feed(self, feed: Feed) -> None:
        here = self.threads.get(feed.thread, {})
        if here.get((feed.tenant, feed.owner)) is feed:
            del here[feed.tenant, feed.owner]
            if not here:
                del self.threads[feed.thread]
            self._wakeups.unwatch(feed.thread)

    def _close_outlet(self, outlet: Outlet) -> None:
        self._outlets.pop(outlet.sink, None)
