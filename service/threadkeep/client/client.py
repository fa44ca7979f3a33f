"""The client: one object for HTTP and sockets, for one user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from threadkeep.client.credentials import Token, credentials_from
from threadkeep.client.errors import ClientClosed
from threadkeep.client.events import Entry, decode_entry
from threadkeep.client.feeds import USER, Feed, UserFeed
from threadkeep.client.messages import MessageLike, message_of
from threadkeep.client.models import Appended, EntryPage, Hit, Page
from threadkeep.client.retries import RetryPolicy
from threadkeep.client.runs import Runs
from threadkeep.client.sockets import Socket
from threadkeep.client.subscriptions import Subscription
from threadkeep.client.threads import ThreadRef, Threads, id_of
from threadkeep.client.transport import Transport, new_key
from threadkeep.client.windows import Window

_SAFE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})

SUBSCRIPTIONS_PER_SOCKET: Final = 128
"""What the service allows by default; with more, another socket is opened."""


class Threadkeep:
    """Conversations of one user: `async with Threadkeep(url, token=…) as client`.

    `token` is the user's own, or a function that gives a fresh one whenever it is needed; an
    `api_key` acts for `user`.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        api_key: str | None = None,
        user: str | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._url = url
        self._credentials = credentials_from(token=token, api_key=api_key, user=user)
        self._policy = retry or RetryPolicy()
        self._opened: Transport | None = None
        self._sockets: list[Socket] = []

    async def __aenter__(self) -> Self:
        session = aiohttp.ClientSession(self._url, timeout=aiohttp.ClientTimeout(total=None))
        self._opened = Transport(session, self._credentials, self._policy)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close sockets and connections; subscriptions end."""
        sockets, self._sockets = self._sockets, []
        await asyncio.gather(*(socket.aclose() for socket in sockets))
        transport, self._opened = self._opened, None
        if transport is not None:
            await transport.session.close()

    @property
    def threads(self) -> Threads:
        """Create, find and change threads."""
        return Threads(self._transport)

    @property
    def runs(self) -> Runs:
        """Run agents."""
        return Runs(self._transport)

    async def append(
        self, thread: ThreadRef, *messages: MessageLike, key: str | None = None
    ) -> Appended:
        """Append up to 100 messages together or not at all; returns once they are committed.

        Repeated with one idempotency key until it is answered, so nothing is appended twice.
        """
        return await self._transport.call(
            "POST",
            f"/v1/threads/{id_of(thread)}/messages",
            Appended,
            body={"messages": [message_of(message) for message in messages]},
            headers={"Idempotency-Key": key or new_key()},
        )

    def window(self, thread: ThreadRef, size: int = 32) -> Window:
        """Append message after message over a socket, `size` of them on their way at once."""
        return Window(self._first_socket(), id_of(thread), size)

    def subscribe(
        self,
        thread: ThreadRef,
        cursor: str | None = None,
        *,
        after_seq: int | None = None,
        limit: int = 1024,
    ) -> Subscription:
        """Follow a thread from a cursor, after a seq, or from a snapshot of its end.

        `limit` is how many events may wait for the reader before the service is asked to pause.
        """
        feed = Feed(id_of(thread), cursor=cursor, after_seq=after_seq, limit=limit)
        return Subscription(self._socket_for(feed.thread), feed)

    def subscribe_user(self, *, limit: int = 1024) -> Subscription:
        """Follow the list of the user's threads: what is new, has grown, has changed.

        After every `FeedJoined` the list should be read anew: this feed keeps no history.
        """
        return Subscription(self._socket_for(USER), UserFeed(limit=limit))

    async def entries(
        self,
        thread: ThreadRef,
        *,
        after_seq: int = 0,
        kinds: Sequence[str] = (),
        limit: int = 100,
    ) -> AsyncIterator[Entry]:
        """The log after a seq, page by page, up to its end."""
        path = f"/v1/threads/{id_of(thread)}/entries"
        narrow = {"kinds": ",".join(kinds)} if kinds else {}
        while True:
            query = {"after_seq": str(after_seq), "limit": str(limit), **narrow}
            page = await self._transport.call("GET", path, EntryPage, query=query)
            for raw in page.data:
                entry = decode_entry(raw)
                after_seq = entry.seq
                yield entry
            if not page.has_more:
                return

    async def search(self, words: str, *, limit: int = 20) -> Page[Hit]:
        """Messages of the user that hold these words, the best first."""
        query = {"q": words, "limit": str(limit)}
        return await self._transport.call("GET", "/v1/search", Page[Hit], query=query)

    async def call(
        self, method: str, path: str, *, body: object = None, query: Mapping[str, str] | None = None
    ) -> Any:
        """Any other route, with the same errors; GET, PUT and DELETE are sent again after a break.

        The answer is decoded JSON.
        """
        if method in _SAFE:
            return await self._transport.call(method, path, Any, body=body, query=query)
        return await self._transport.call_once(method, path, Any, body=body)

    @property
    def _transport(self) -> Transport:
        if self._opened is None:
            raise ClientClosed("The client is not open; use `async with`.")
        return self._opened

    def _first_socket(self) -> Socket:
        self._forget_sockets_that_gave_up()
        if not self._sockets:
            self._sockets.append(Socket(self._transport))
        return self._sockets[0]

    def _forget_sockets_that_gave_up(self) -> None:
        self._sockets = [socket for socket in self._sockets if not socket.is_over]

    def _socket_for(self, thread: str) -> Socket:
        """A socket that does not follow this thread yet: each follows a thread once."""
        self._forget_sockets_that_gave_up()
        for socket in self._sockets:
            if thread not in socket.feeds and len(socket.feeds) < SUBSCRIPTIONS_PER_SOCKET:
                return socket
        self._sockets.append(Socket(self._transport))
        return self._sockets[-1]
