"""The live end of one thread in this process: what its subscribers have been sent together.

Entries that follow the last one sent are broadcast as they come, without a look at the database.
Anything else (a gap, a wake-up, a difference that the sweep found) only says how far the log has
come; one task then reads what is missing. Nothing is sent twice and nothing is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from threadkeep.domain.entries import Entry
from threadkeep.errors import NotFound, ThreadkeepError, Unavailable
from threadkeep.logs import get_logger
from threadkeep.services.delivery.frames import Frame, entry_frame
from threadkeep.services.delivery.joins import Joined
from threadkeep.services.delivery.stage import Stage
from threadkeep.services.delivery.streams import Delta, Streams, delta_frame
from threadkeep.storage import snapshots
from threadkeep.storage.snapshots import CHUNK_ENTRIES, UNKNOWN

_log = get_logger(__name__)

NOWHERE: Final = -1


class Subscriber(Protocol):
    """A subscription as its feed sees it. None of this waits, and none of it raises."""

    seq: int
    """The last entry that it has; kept current until it is live."""
    shown: dict[str, str]
    """Text of streaming messages that it has, by message."""

    @property
    def sink(self) -> object:
        """Whom it serves."""

    def deliver(self, frames: Sequence[Frame], /) -> None:
        """Pass on frames that follow what it has."""

    def catch_up(self) -> None:
        """Read on alone, then go live again."""

    def rejoin(self) -> None:
        """Begin again in another history."""

    def end(self, error: ThreadkeepError, /) -> None:
        """Stop for good, because of `error`."""


class Feed:
    """One thread that this process has subscribers for. All but the reads is synchronous."""

    def __init__(
        self,
        stage: Stage,
        tenant: str,
        owner: str,
        thread: str,
        emptied: Callable[[Feed], None],
        wants_text: Callable[[Feed], None],
    ) -> None:
        self.stage = stage
        self._emptied = emptied
        self._wants_text = wants_text
        self.tenant = tenant
        self.owner = owner
        self.thread = thread
        self.epoch = ""
        self.salts = UNKNOWN
        self.seq = NOWHERE
        """The last entry that all of `live` have; NOWHERE before the first one has joined."""
        self.streams = Streams()
        self.members: set[Subscriber] = set()
        """All subscriptions, whatever they are doing."""
        self._live: set[Subscriber] = set()
        self._ahead: list[Subscriber] = []
        """Ready to be live, but they know more than was broadcast so far."""
        self._target = 0
        self._is_pumping = False

    @property
    def is_joined(self) -> bool:
        """True once the feed has a place in the log."""
        return self.seq != NOWHERE

    def leave(self, subscription: Subscriber) -> None:
        """Forget a subscription."""
        self.members.discard(subscription)
        self._live.discard(subscription)
        if subscription in self._ahead:
            self._ahead.remove(subscription)
        if not self.members:
            self._emptied(self)

    def adopt(self, joined: Joined, joiner: Subscriber) -> None:
        """Take in what a joining subscriber has read."""
        if self.is_joined and joined.epoch != self.epoch:
            self.fork(but=joiner)
        if not self.is_joined:
            self.seq, self.epoch = joined.last_seq, joined.epoch
            self.salts = UNKNOWN
        self.reach(max(joined.last_seq, self._target))
        if joined.last_seq >= self.seq:
            self.say(self.streams.merge(joined.partials))

    def go_live(self, subscription: Subscriber, shown: dict[str, str]) -> None:
        """From now on the subscription gets what is broadcast; it has all up to its seq."""
        if subscription.seq > self.seq:
            subscription.shown = shown
            self._ahead.append(subscription)
            self.reach(subscription.seq)
            return
        self._live.add(subscription)
        if deltas := self.streams.missing(shown):
            subscription.deliver([delta_frame(self.thread, delta) for delta in deltas])

    def offer(self, entries: Sequence[Entry]) -> None:
        """Entries that were just committed, neighbours in the log."""
        first, last = entries[0], entries[-1].seq
        if first.seq > self.seq + 1 or first.epoch != self.epoch:
            self.reach(last)
        elif last > self.seq:
            self._broadcast(entries[self.seq + 1 - first.seq :])

    def reach(self, seq: int) -> None:
        """The log has come to `seq` at least; read what is missing."""
        self._target = max(self._target, seq)
        if self.is_joined and self.seq < self._target and not self._is_pumping:
            self._is_pumping = True
            self.stage.tasks.spawn(self._pump())

    def is_reading(self, seq: int) -> bool:
        """Whether entries up to `seq` are on their way already."""
        return self._is_pumping and self._target >= seq

    def add_text(self, delta: Delta) -> None:
        """Text that this process has just written."""
        if self.is_joined:
            self.say(self.streams.add(delta))
            if self.streams.has_holes:
                self.read_text()

    def read_text(self) -> None:
        """Text has grown somewhere: read it, now and once more soon, as it may follow the hint."""
        self._wants_text(self)

    def say(self, deltas: Iterable[Delta]) -> None:
        """Broadcast text."""
        frames = [delta_frame(self.thread, delta) for delta in deltas] if self._live else []
        if frames:
            self.broadcast(frames)

    def broadcast(self, frames: Sequence[Frame], but: object = None) -> None:
        """Give frames to all live subscribers but those of the sink `but`."""
        for subscription in tuple(self._live):
            if but is None or subscription.sink is not but:
                subscription.deliver(frames)

    def fork(self, but: Subscriber | None = None) -> None:
        """The history is another one: every subscriber gets a new snapshot."""
        self.stage.counts.forks += 1
        _log.warning("delivery.forked", thread_id=self.thread, seq=self.seq)
        self.seq, self.epoch, self.salts, self._target = NOWHERE, "", UNKNOWN, 0
        self.streams.clear()
        self._live.clear()
        self._ahead.clear()
        for subscription in tuple(self.members):
            if subscription is not but:
                subscription.rejoin()

    def end(self, error: ThreadkeepError) -> None:
        """The thread is gone for good."""
        for subscription in tuple(self.members):
            subscription.end(error)

    def _broadcast(self, entries: Sequence[Entry]) -> None:
        self.seq = entries[-1].seq
        if self.streams and self.streams.settle(entries):
            self.read_text()
        if not self._live and not self._ahead:
            return
        frames = [entry_frame(entry) for entry in entries]
        self.stage.counts.delivered += len(frames) * len(self._live)
        self.broadcast(frames)
        if self._ahead:
            self._catch_those_ahead(frames)

    def _catch_those_ahead(self, frames: Sequence[Frame]) -> None:
        ahead, self._ahead = self._ahead, []
        for subscription in ahead:
            fresh = [frame for frame in frames if frame.seq > subscription.seq]
            if fresh:
                subscription.deliver(fresh)
                subscription.seq = fresh[-1].seq
            if subscription in self.members:
                self.go_live(subscription, subscription.shown)

    async def _pump(self) -> None:
        self.stage.counts.pumps += 1
        try:
            while self.members and self.is_joined and self.seq < self._target:
                await self._pull()
        except Unavailable as exc:
            self.stage.counts.failures += 1
            _log.warning("delivery.read_failed", thread_id=self.thread, error=exc.message)
        finally:
            self._is_pumping = False

    async def _pull(self) -> None:
        after, epoch, target = self.seq, self.epoch, self._target
        chunk = await snapshots.read_chunk(
            self.stage.database, self.tenant, self.owner, self.thread, after
        )
        if self.epoch != epoch or not self.members:
            return  # another history meanwhile, or nobody is left
        if chunk is None:
            self.end(NotFound())
            return
        if chunk.epoch != epoch or chunk.last_seq < after:
            self.fork()
            return
        self.salts = chunk.salts
        fresh = [entry for entry in chunk.entries if entry.seq > self.seq]
        if fresh:
            self._broadcast(fresh)
        elif target == self._target:
            self._target = self.seq  # the hint was wrong
        if chunk.last_seq - self.seq > CHUNK_ENTRIES:
            self._let_each_catch_up(chunk.last_seq)

    def _let_each_catch_up(self, last_seq: int) -> None:
        """Too much was missed to push: each reads on at its own pace, and is not slow for it."""
        behind = [*self._live, *self._ahead]
        for subscription in self._live:
            subscription.seq = self.seq
        self._live.clear()
        self._ahead.clear()
        self.seq = last_seq
        self.streams.clear()
        for subscription in behind:
            subscription.catch_up()
        self.read_text()
