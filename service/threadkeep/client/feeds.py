"""The queue between a socket and one reader: bounded, in order, without repeats and holes."""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from typing import Any, Final

from typing_extensions import override

from threadkeep.client.errors import ClientClosed, ThreadkeepError
from threadkeep.client.events import Entry, Event, FeedJoined, Forked, Snapshot

QUEUE_BYTES: Final = 4 * 1024 * 1024
"""What one reader may leave unread before the service is told to stop sending."""


USER: Final = "user"
"""The name of the user's feed where others are named by their thread."""


class State(enum.Enum):
    """How a feed stands with the service."""

    IDLE = "idle"
    """Not subscribed: before the first time, between two connections."""
    JOINING = "joining"
    """Subscribed, not yet answered; what still arrives is of an earlier subscription."""
    WAITING = "waiting"
    """Answered; the snapshot has not arrived yet."""
    LIVE = "live"
    PAUSED = "paused"
    """Unsubscribed because the reader is slow; joins again when he has caught up."""
    ENDED = "ended"


class Feed:
    """Events of one thread for one reader, filled by a socket."""

    def __init__(
        self, thread: str, *, cursor: str | None, after_seq: int | None, limit: int
    ) -> None:
        self.thread = thread
        self.state = State.IDLE
        self.epoch: str | None = None
        self.seq = -1
        """Up to where events are queued; what is not above it is a repeat."""
        self.verdict: str | None = None
        self.command = 0
        """Number of the last subscribe command."""
        self.refusals = 0
        """How often the service said to come again later, since it last took the feed in."""
        self.refused_since = 0.0
        self._cursor = cursor
        self._after_seq = after_seq
        self._limit = limit
        self._queue: deque[tuple[Event, int]] = deque()
        self._bytes = 0
        self._reader: asyncio.Future[None] | None = None
        self._error: ThreadkeepError | None = None

    @property
    def cursor(self) -> str | None:
        """Where the next subscription goes on."""
        return self._cursor if self.epoch is None else f"{self.epoch}-{self.seq}"

    @property
    def target(self) -> dict[str, str]:
        """What is followed, as commands name it."""
        return {"thread_id": self.thread}

    @property
    def place(self) -> dict[str, Any]:
        """From where on, as a subscribe command says it."""
        asked: dict[str, Any] = {}
        if (cursor := self.cursor) is not None:
            asked["cursor"] = cursor
        elif self._after_seq is not None:
            asked["after_seq"] = self._after_seq
        return asked

    def joined(self, verdict: str, epoch: str, last_seq: int) -> None:
        """The service has answered a subscribe command, or has begun anew by itself."""
        self.verdict = verdict
        self.refusals = 0
        if verdict == "resumed":
            if self.epoch is None:
                self.seq = self._start()
            self.epoch = epoch
            self.state = State.LIVE
            return
        self.epoch, self.seq = epoch, -1
        self.state = State.WAITING
        if verdict == "forked":
            self._put(Forked(thread_id=self.thread, epoch=epoch, last_seq=last_seq), 0)

    def snapshot(self, snapshot: Snapshot, entries: list[Entry], size: int) -> None:
        """The snapshot, and its entries as events of their own. It may exceed the bound."""
        self.state = State.LIVE
        self._put(snapshot, 0)
        for entry in entries:
            self._put(entry, size // len(entries))
        self.seq = snapshot.last_seq

    def entry(self, entry: Entry, size: int) -> bool:
        """Queue an entry; False when one before it is missing."""
        if self.state is not State.LIVE or entry.seq <= self.seq:
            return True
        if entry.seq != self.seq + 1 or entry.epoch != self.epoch:
            return False
        self.seq = entry.seq
        self._put(entry, size)
        return True

    def beside(self, event: Event, size: int) -> None:
        """Queue what has no place in the log."""
        if self.state is State.LIVE:
            self._put(event, size)

    @property
    def is_full(self) -> bool:
        """Whether the reader has left so much that no more should come."""
        return len(self._queue) >= self._limit or self._bytes >= QUEUE_BYTES

    @property
    def is_low(self) -> bool:
        """Whether a paused feed should join again."""
        return len(self._queue) <= self._limit // 4 and self._bytes <= QUEUE_BYTES // 4

    def end(self, error: ThreadkeepError | None) -> None:
        """No more events come; the reader still gets those that are queued."""
        if self.state is not State.ENDED:
            self.state = State.ENDED
            self._error = error
            self._wake()

    async def next(self) -> Event:
        """The next event; waits for it. `StopAsyncIteration` after `end`."""
        while not self._queue:
            if self.state is State.ENDED:
                raise self._error or StopAsyncIteration
            if self._reader is not None:
                raise ClientClosed("A subscription has one reader.")
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        event, size = self._queue.popleft()
        self._bytes -= size
        return event

    def _start(self) -> int:
        if self._cursor is not None:
            return int(self._cursor.rpartition("-")[2])
        return self._after_seq or 0

    def _put(self, event: Event, size: int) -> None:
        self._queue.append((event, size))
        self._bytes += size
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


class UserFeed(Feed):
    """Changes of all threads of the user. It has no cursor: each join says where to look anew."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(USER, cursor=None, after_seq=None, limit=limit)

    @property
    @override
    def target(self) -> dict[str, str]:
        return {"feed": "user"}

    def live(self) -> None:
        """The service has answered the subscribe command."""
        self.state = State.LIVE
        self.refusals = 0
        self._put(FeedJoined(), 0)
