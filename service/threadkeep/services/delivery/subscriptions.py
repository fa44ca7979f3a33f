"""A subscription: a cursor that moves. First alone through the log, then with all others."""

from __future__ import annotations

import asyncio
import enum
import random
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from threadkeep.domain.principals import Principal
from threadkeep.domain.snapshots import Snapshot
from threadkeep.errors import NotFound, ThreadkeepError, Unavailable
from threadkeep.logs import get_logger
from threadkeep.services.delivery import joins
from threadkeep.services.delivery.feeds import Feed
from threadkeep.services.delivery.frames import Frame, entry_frame
from threadkeep.services.delivery.joins import Joined, Start, Verdict
from threadkeep.storage import snapshots

_log = get_logger(__name__)

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
"""Between tries to read on while the database is away."""


class _State(enum.Enum):
    JOINING = enum.auto()
    READY = enum.auto()
    STALE = enum.auto()
    """Ready, but the history was replaced before it was started."""
    CATCHING_UP = enum.auto()
    LIVE = enum.auto()
    ENDED = enum.auto()


class Sink(Protocol):
    """A connection as delivery sees it: a socket or an event stream.

    All but `room` must return at once; what it raises ends the subscription that was served and
    touches nobody else's.
    """

    @property
    def closed(self) -> bool:
        """True once nothing can be sent any more."""

    def push(self, frames: Sequence[Frame], /) -> None:
        """Queue frames in order.

        Over the byte bound (`limits.QUEUE_BYTES`) the sink closes itself as a slow consumer.
        Several calls within one turn of the event loop should become one write.
        """

    async def room(self) -> None:
        """Wait until at most a quarter of the byte bound is queued, or the sink is closed.

        Delivery waits here before each chunk of a catch-up, one subscription of the sink at a
        time; a chunk is at most half the bound. So catching up never makes a consumer slow.
        """

    def rejoined(self, subscription: Subscription, /) -> None:
        """Send `subscribed` (verdict `forked`) and the new `subscription.snapshot`.

        The thread's history was replaced while it was subscribed; frames follow.
        """

    def ended(self, subscription: Subscription, error: ThreadkeepError, /) -> None:
        """This subscription is over, the connection is not: the thread is gone for good."""


class Outlet:
    """A sink and the threads that it has subscribed, of which it catches up with one at a time."""

    __slots__ = ("_emptied", "sink", "subscriptions", "turn")

    def __init__(self, sink: Sink, emptied: Callable[[Outlet], None]) -> None:
        self.sink = sink
        self._emptied = emptied
        self.subscriptions: set[Subscription] = set()
        self.turn = asyncio.Lock()

    def forget(self, subscription: Subscription) -> None:
        """One of its subscriptions has ended."""
        self.subscriptions.discard(subscription)
        if not self.subscriptions:
            self._emptied(self)


class Subscription:
    """One sink on one thread.

    `Delivery.subscribe` gives it joined and silent: the connection answers with `verdict`,
    `epoch`, `last_seq` and, where it is not None, `snapshot`; then it calls `start`.
    """

    __slots__ = (
        "_state",
        "_task",
        "epoch",
        "feed",
        "last_seq",
        "outlet",
        "principal",
        "seq",
        "shown",
        "sink",
        "snapshot",
        "verdict",
    )

    def __init__(self, feed: Feed, outlet: Outlet, principal: Principal) -> None:
        self.feed = feed
        self.outlet = outlet
        self.sink = outlet.sink
        self.principal = principal
        self.verdict: Verdict = "snapshot"
        self.epoch = ""
        self.last_seq = 0
        """The head when it joined."""
        self.seq = 0
        """What it has been given; behind the truth while it is live."""
        self.snapshot: Snapshot | None = None
        """None on a valid cursor, and again after `start`."""
        self.shown: dict[str, str] = {}
        """Text of streaming messages that the snapshot has shown."""
        self._state = _State.JOINING
        self._task: asyncio.Task[None] | None = None
        feed.members.add(self)
        outlet.subscriptions.add(self)
        feed.stage.counts.subscriptions += 1

    @property
    def thread(self) -> str:
        """Digits of the thread's id."""
        return self.feed.thread

    @property
    def is_live(self) -> bool:
        """True once it has come level with the head."""
        return self._state is _State.LIVE

    @property
    def is_ended(self) -> bool:
        """True once it gets nothing more."""
        return self._state is _State.ENDED

    async def join(self, start: Start) -> None:
        """Read the thread at one moment; raises `NotFound`, `Gone` and `Unavailable`."""
        joined = await joins.join(self.feed.stage.database, self.principal, self.thread, start)
        self._take_in(joined, joined.verdict)

    def start(self) -> None:
        """Let frames flow. The answer and the snapshot must have been queued before."""
        self.snapshot = None
        if self._state is _State.STALE:
            self._begin_again()
        elif self._state is _State.READY:
            self.catch_up()

    def catch_up(self) -> None:
        """Go live, at once where nothing is missing, else after reading what is."""
        self._state = _State.CATCHING_UP
        if not self._went_live():
            self._task = self.feed.stage.tasks.keep(self._catch_up())

    def rejoin(self) -> None:
        """The history was replaced: join the new one and tell the sink."""
        if self._state is _State.READY:
            self._state = _State.STALE
        elif self._state in (_State.CATCHING_UP, _State.LIVE):
            self._begin_again()

    def end(self, error: ThreadkeepError | None = None) -> None:
        """Stop; the sink is told where it was not the sink's own wish."""
        if self.is_ended:
            return
        self._state = _State.ENDED
        self._stop()
        self.feed.leave(self)
        self.outlet.forget(self)
        self.feed.stage.counts.subscriptions -= 1
        if error is not None and not self.sink.closed:
            self._tell(error)

    def deliver(self, frames: Sequence[Frame]) -> None:
        """Give frames to the sink. A sink that fails ends its subscription, not the others'."""
        try:
            self.sink.push(frames)
        except Exception:  # noqa: BLE001 - one reader's mistake must not stall the others
            self._fail()

    def _take_in(self, joined: Joined, verdict: Verdict) -> None:
        if self.is_ended:
            return
        self._state = _State.READY
        self.verdict = verdict
        self.epoch, self.seq, self.last_seq = joined.epoch, joined.seq, joined.last_seq
        self.snapshot = joined.snapshot
        self.shown = {}
        if joined.snapshot is not None:
            self.shown = {p.message: p.text for p in joined.snapshot.partial_messages}
        self.feed.adopt(joined, self)

    def _went_live(self) -> bool:
        # Nothing may be awaited between this comparison and going live: no entry falls between.
        if self.seq < self.feed.seq:
            return False
        self._state, self._task = _State.LIVE, None
        shown, self.shown = self.shown, {}
        self.feed.go_live(self, shown)
        return True

    async def _catch_up(self) -> None:
        pause = _FIRST_PAUSE
        while self._state is _State.CATCHING_UP and not self._went_live():
            try:
                is_further = await self._pull()
            except Unavailable as exc:
                self.feed.stage.counts.failures += 1
                _log.warning("delivery.catch_up_failed", error=exc.message, thread_id=self.thread)
                is_further = False
            except Exception:  # noqa: BLE001 - told, so that the reader can come again
                self._fail()
                return
            if is_further:
                pause = _FIRST_PAUSE
            else:
                await _sleep_about(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _pull(self) -> bool:
        """Give the sink one chunk once it has room; True when that led further."""
        feed, sink = self.feed, self.sink
        async with self.outlet.turn:
            await sink.room()
            if sink.closed:
                self.end()
                return False
            chunk = await snapshots.read_chunk(
                feed.stage.database, feed.tenant, feed.owner, feed.thread, self.seq
            )
            if chunk is None:
                feed.end(NotFound())
            elif chunk.epoch != self.epoch or chunk.last_seq < self.seq:
                feed.fork()
            elif chunk.entries:
                self.seq = chunk.entries[-1].seq
                self.deliver([entry_frame(entry) for entry in chunk.entries])
                return True
        return False

    def _begin_again(self) -> None:
        self._stop()
        self._state = _State.JOINING
        self._task = self.feed.stage.tasks.keep(self._rejoin())

    async def _rejoin(self) -> None:
        try:
            # As in catching up: one snapshot at a time, or those of all threads would be queued.
            async with self.outlet.turn:
                await self.sink.room()
                if self.sink.closed:
                    self.end()
                    return
                self._take_in(await self._join_again(), "forked")
                self.sink.rejoined(self)
        except ThreadkeepError as exc:
            self.end(exc)
        except Exception:  # noqa: BLE001 - as in deliver
            self._fail()
        else:
            self.start()

    async def _join_again(self) -> Joined:
        database, pause = self.feed.stage.database, _FIRST_PAUSE
        while True:
            try:
                return await joins.join(database, self.principal, self.thread, Start())
            except Unavailable:
                await _sleep_about(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _fail(self) -> None:
        self.feed.stage.counts.sink_failures += 1
        _log.exception("delivery.sink_failed", thread_id=self.thread)
        self.end(ThreadkeepError())

    def _tell(self, error: ThreadkeepError) -> None:
        try:
            self.sink.ended(self, error)
        except Exception:  # noqa: BLE001 - as in deliver
            _log.exception("delivery.sink_failed", thread_id=self.thread)

    def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()


async def _sleep_about(seconds: float) -> None:
    await asyncio.sleep(seconds * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load
