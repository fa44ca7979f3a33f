"""What a reader holds: an async iterator over a thread's events that survives every break."""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import Self

from threadkeep.client.events import Event
from threadkeep.client.feeds import Feed
from threadkeep.client.sockets import Socket


class Subscription:
    """Events of one thread, in order, each once: `async for event in subscription`.

    It resumes by itself from the last event that it has handed out to its queue. A reader that
    does not keep up makes it pause, which loses nothing. Ends with `aclose`, with the client, or
    with an error that trying again would not cure.
    """

    def __init__(self, socket: Socket, feed: Feed) -> None:
        self._socket = socket
        self._feed = feed
        # Without this, a loop that is left by `break` would leave the service sending.
        self._finalizer = weakref.finalize(self, socket.remove, feed)
        self._finalizer.atexit = False
        socket.add(feed)

    @property
    def thread_id(self) -> str:
        """The thread that is followed."""
        return self._feed.thread

    @property
    def cursor(self) -> str | None:
        """Where a later subscription would go on after everything that was queued here."""
        return self._feed.cursor

    @property
    def verdict(self) -> str | None:
        """How the service answered last: `resumed`, `snapshot` or `forked`; None before."""
        return self._feed.verdict

    def cut(self) -> None:
        """Drop the connection on purpose, to see it resumed; other subscriptions share it."""
        self._socket.cut()

    async def aclose(self) -> None:
        """Stop; events that were not read are dropped."""
        self._finalizer()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        event = await self._feed.next()
        self._socket.taken(self._feed)
        return event
