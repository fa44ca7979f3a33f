"""Broken under load: what grows where it must not, waits, or is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from threadkeep.domain.messages import Message
from threadkeep.domain.principals import Principal
from threadkeep.errors import Unavailable
from threadkeep.services.delivery.feeds import Feed
from threadkeep.services.messages import Messages, Page
from threadkeep.storage.database import Connection, Database
from threadkeep.storage.probes import Ping
from threadkeep.web.websocket_session import Session

from . import breaks, put

_kept: list[bytes] = []


@breaks("one-connection")
def one_connection() -> None:
    """A process has one connection for all requests but appends, and keeps it 20 ms each time."""
    acquire = Database._acquire

    @asynccontextmanager
    async def slow(self: Database, until: float) -> AsyncIterator[Connection]:
        async with acquire(self, until) as connection:
            await asyncio.sleep(0.02)
            yield connection

    put(Database, "pool_size", property(lambda _self: 1))
    put(Database, "_acquire", slow)


@breaks("wide-pool")
def wide_pool() -> None:
    """A process takes more connections than it was given."""
    put(Database, "pool_size", property(lambda _self: 40))


@breaks("probes-in-pool")
def probes_in_pool() -> None:
    """What a probe asks waits for a connection of the pool, as requests do."""

    async def ask(self: Ping, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._database.call("SELECT 1")
        except TimeoutError as exc:
            raise Unavailable from exc

    put(Ping, "ask", ask)


@breaks("leaky-pool")
def leaky_pool() -> None:
    """Every fiftieth connection is not given back."""
    acquire = Database._acquire
    taken: list[Any] = []
    count = 0

    @asynccontextmanager
    async def forgetful(self: Database, until: float) -> AsyncIterator[Connection]:
        nonlocal count
        count += 1
        if count % 50 == 0:
            held = acquire(self, until)
            taken.append(held)
            yield await held.__aenter__()
        else:
            async with acquire(self, until) as connection:
                yield connection

    put(Database, "_acquire", forgetful)


@breaks("patience")
def patience() -> None:
    """A request waits for the database as long as it takes."""
    init = Database.__init__

    def patient(self: Database, settings: Any) -> None:
        init(self, settings)
        self._seconds = 300.0
        self._pool = None

    put(Database, "__init__", patient)


@breaks("whole-thread-first")
def whole_thread_first() -> None:
    """A page is answered after the thread has been read from its beginning."""
    page = Messages.page

    async def slow(self: Messages, principal: Principal, thread: str, **words: Any) -> Page:
        seq = 0
        while entries := (await page(self, principal, thread, after=seq, limit=25)).entries:
            seq = entries[-1].seq
        return await page(self, principal, thread, **words)

    put(Messages, "page", slow)


@breaks("keeps-messages")
def keeps_messages() -> None:
    """Each message leaves four kilobytes in the process."""
    submit = Messages.submit

    def keep(self: Messages, who: Principal, thread: str, batch: list[Message], *rest: Any) -> None:
        _kept.extend(b"x" * 4096 + str(n).encode() for n, _ in enumerate(batch))
        submit(self, who, thread, batch, *rest)

    put(Messages, "submit", keep)


@breaks("fat-sockets")
def fat_sockets() -> None:
    """Each socket takes three hundred kilobytes."""
    init = Session.__init__

    def fat(self: Session, *words: Any) -> None:
        _kept.append(b"x" * 300_000)
        init(self, *words)

    put(Session, "__init__", fat)


@breaks("frames-dropped")
def frames_dropped() -> None:
    """Every seventh broadcast reaches nobody."""
    broadcast = Feed.broadcast
    count = 0

    def drop(self: Feed, *words: Any, **named: Any) -> None:
        nonlocal count
        count += 1
        if count % 7:
            broadcast(self, *words, **named)

    put(Feed, "broadcast", drop)
