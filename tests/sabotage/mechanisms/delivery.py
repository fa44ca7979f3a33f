"""Broken delivery: events that are lost, reach others, come too early, or pile up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from threadkeep.domain.entries import Entry
from threadkeep.domain.events import TOOL_COMPLETED, Progress
from threadkeep.domain.principals import Principal
from threadkeep.domain.threads import Thread
from threadkeep.errors import NotFound, ThreadkeepError
from threadkeep.services.delivery import Frame, joins
from threadkeep.services.delivery.feeds import Feed
from threadkeep.services.delivery.joins import Start, Verdict
from threadkeep.services.journal import Journal, Writing
from threadkeep.storage import entries as store
from threadkeep.web import websocket_limits as limits
from threadkeep.web.websocket_outbox import Outbox
from threadkeep.web.websocket_session import Session

from . import breaks, put


@breaks("events-lost")
def events_lost() -> None:
    """The results of tools reach no subscriber."""
    broadcast = Feed._broadcast

    def lossy(self: Feed, entries: Sequence[Entry]) -> None:
        kept = [entry for entry in entries if entry.kind != TOOL_COMPLETED]
        if kept:
            broadcast(self, kept)
        self.seq = entries[-1].seq

    put(Feed, "_broadcast", lossy)


@breaks("one-channel")
def one_channel() -> None:
    """What is told to one thread's subscribers is told to everybody's."""
    feeds: list[Feed] = []
    init, broadcast = Feed.__init__, Feed.broadcast

    def remember(self: Feed, *words: Any) -> None:
        init(self, *words)
        feeds.append(self)

    def tell_all(_self: Feed, frames: Sequence[Frame], **named: Any) -> None:
        for feed in feeds:
            broadcast(feed, frames, **named)

    put(Feed, "__init__", remember)
    put(Feed, "broadcast", tell_all)


@breaks("told-before-commit")
def told_before_commit() -> None:
    """Subscribers hear of an event a moment before it is committed."""

    @asynccontextmanager
    async def early(self: Journal, principal: Principal, thread: str) -> AsyncIterator[Writing]:
        async with self._database.transaction(principal) as connection:
            head = await store.lock_head(connection, principal.tenant, principal.owner, thread)
            if head is None:
                raise NotFound
            writing = Writing(connection, head)
            yield writing
            if writing.entries:
                self._publish(principal.owner, writing.entries)
                await asyncio.sleep(1.0)

    put(Journal, "writing", early)


@breaks("resume-skips")
def resume_skips() -> None:
    """Who comes back with a cursor misses the first entry after it."""
    judge = joins._judge

    def skip(start: Start, thread: Thread) -> tuple[Verdict, int]:
        verdict, seq = judge(start, thread)
        if start.cursor is not None and seq + 1 < thread.last_seq:
            seq += 1
        return verdict, seq

    put(joins, "_judge", skip)


@breaks("bad-frames-close")
def bad_frames_close() -> None:
    """A malformed frame closes its socket."""

    def close(self: Session, re: bytes, error: ThreadkeepError) -> None:
        self.fail(re, error)
        self.close(limits.ABUSE, "abuse")

    put(Session, "refuse", close)


@breaks("any-order")
def any_order() -> None:
    """Events of a run are taken in whatever order they come."""

    def stay(self: Progress, _kind: str, _call_id: str | None = None) -> Progress:
        return self

    put(Progress, "after", stay)


@breaks("no-bound")
def no_bound() -> None:
    """Whatever a reader does not take is kept for it."""

    def keep(self: Outbox, encoded: list[bytes]) -> bool:
        for data in encoded:
            self.send(data)
        return True

    put(Outbox, "send_live", keep)
