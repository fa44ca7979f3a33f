"""Service processes without a web edge: delivery, appender and journal, and sinks in memory."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tests.support.postgres import Database as TestDatabase
from tests.support.seeds import OWNER, seed_tenant, seed_thread
from tests.support.waiting import until
from threadkeep.domain import documents, messages
from threadkeep.domain.entries import Cursor
from threadkeep.domain.principals import Principal
from threadkeep.errors import ThreadkeepError
from threadkeep.services.delivery import Delivery, Frame, Subscription
from threadkeep.services.journal import Journal
from threadkeep.settings import Settings, load
from threadkeep.storage import entries
from threadkeep.storage.appender import Appender
from threadkeep.storage.appends import Appended, Item, Verdict
from threadkeep.storage.database import Database
from threadkeep.storage.wakeups import wakeups_for

WITHIN: Final = 15.0
"""Seconds after which what was waited for counts as lost. How soon it comes is a figure of the
scenarios of sockets, which judge it; a busy machine may take its time here."""


class MemorySink:
    """A reader: what it was told, in order. It can refuse room, and it can break."""

    def __init__(self) -> None:
        self.closed = False
        self.told: list[tuple[str, Any]] = []
        """("joined", subscription's verdict and snapshot) | ("frame", Frame) | ("ended", error)."""
        self.batches = 0
        self.is_broken = False
        self._has_room = asyncio.Event()
        self._has_room.set()

    def push(self, frames: Sequence[Frame]) -> None:
        """Take frames, or fail."""
        if self.is_broken:
            raise RuntimeError("this reader is broken")
        self.batches += 1
        self.told += [("frame", frame) for frame in frames]

    async def room(self) -> None:
        """Wait while stalled."""
        await self._has_room.wait()

    def rejoined(self, subscription: Subscription) -> None:
        """Answer as a connection would."""
        self.told.append(("joined", Answer.of(subscription)))

    def ended(self, _subscription: Subscription, error: ThreadkeepError) -> None:
        """Note it."""
        self.told.append(("ended", error))

    def stall(self) -> None:
        """Take nothing that waits for room."""
        self._has_room.clear()

    def go_on(self) -> None:
        """Have room again."""
        self._has_room.set()

    @property
    def joined(self) -> list[Answer]:
        """Every answer to a subscription, the first one and those after a new history."""
        return [what for kind, what in self.told if kind == "joined"]

    @property
    def ends(self) -> list[ThreadkeepError]:
        """Why subscriptions ended."""
        return [what for kind, what in self.told if kind == "ended"]

    @property
    def frames(self) -> list[Frame]:
        """Every frame."""
        return [what for kind, what in self.told if kind == "frame"]

    @property
    def seqs(self) -> list[int]:
        """Places of the entries that came as frames."""
        return [frame.seq for frame in self.frames if frame.seq]

    @property
    def entries(self) -> list[bytes]:
        """Canonical entries of the last snapshot and of all frames after it."""
        found: list[bytes] = []
        for kind, what in self.told:
            if kind == "joined" and what.entries is not None:
                found = list(what.entries)
            elif kind == "frame" and what.seq:
                found.append(what.data)
        return found

    async def reaches(self, count: int, seconds: float = WITHIN) -> None:
        """Wait until it has that many entries, those of its snapshot included."""
        await until(lambda: len(self.entries) >= count, seconds, what=f"{count} entries")

    async def says(self, message: str, text: str) -> None:
        """Wait until it shows exactly this text of a streaming message."""
        await until(lambda: self.texts.get(message) == text, WITHIN, what=f"the text of {message}")

    async def is_told(self, count: int) -> None:
        """Wait until it has got so many answers to its subscription."""
        await until(lambda: len(self.joined) >= count, WITHIN, what=f"{count} answers")

    @property
    def texts(self) -> dict[str, str]:
        """What a client shows of streaming messages: from `offset` on each delta replaces."""
        shown: dict[str, str] = {}
        for kind, what in self.told:
            if kind == "joined":
                shown = dict(what.partials)
            elif kind == "frame" and not what.seq:
                body = msgspec.json.decode(what.data)
                if body["type"] == "message_delta":
                    delta = body["payload"]
                    kept = shown.get(delta["message_id"], "")
                    assert len(kept) >= delta["offset"], "a hole in streaming text"
                    shown[delta["message_id"]] = kept[: delta["offset"]] + delta["text"]
        return shown

    def of_type(self, *types: str) -> list[dict[str, Any]]:
        """Decoded frames without a seq of these types."""
        bodies = [msgspec.json.decode(frame.data) for frame in self.frames if not frame.seq]
        return [body for body in bodies if body["type"] in types]


@dataclass(frozen=True)
class Answer:
    """What a connection would send in answer to a subscription."""

    verdict: str
    epoch: str
    last_seq: int
    entries: tuple[bytes, ...] | None
    partials: dict[str, str]

    @classmethod
    def of(cls, subscription: Subscription) -> Answer:
        """The answer, taken before `start` forgets the snapshot."""
        found = subscription.snapshot
        return cls(
            subscription.verdict,
            subscription.epoch,
            subscription.last_seq,
            None if found is None else tuple(entry.canonical() for entry in found.entries),
            {} if found is None else {f"msg_{p.message}": p.text for p in found.partial_messages},
        )


@dataclass
class Process:
    """One service process on a database."""

    settings: Settings
    database: Database
    delivery: Delivery
    appender: Appender
    journal: Journal

    async def subscribe(
        self,
        principal: Principal,
        thread: str,
        *,
        cursor: Cursor | None = None,
        after_seq: int | None = None,
        sink: MemorySink | None = None,
    ) -> MemorySink:
        """Join as a connection does; the sink holds everything from the answer on."""
        sink = sink or MemorySink()
        subscription = await self.delivery.subscribe(
            principal, thread, cursor=cursor, after_seq=after_seq, sink=sink
        )
        sink.told.append(("joined", Answer.of(subscription)))
        subscription.start()
        return sink

    async def append(self, principal: Principal, thread: str, *texts: str) -> Appended:
        """Append messages with one request."""
        drafts = [messages.draft(messages.Message(content=text)) for text in texts]
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self.appender.submit(
            Item(
                principal.tenant,
                thread,
                principal.owner,
                drafts,
                uuid.UUID(drafts[0].id).bytes,
                documents.digest_of(*(draft.body.encode() for draft in drafts)),
                future.set_result,
            )
        )
        verdict = await future
        if isinstance(verdict, ThreadkeepError):
            raise verdict
        return verdict

    async def log(self, principal: Principal, thread: str) -> list[bytes]:
        """The whole log in its canonical form, read page by page."""
        found: list[bytes] = []
        while True:
            page = await entries.read_page(
                self.database, principal.tenant, principal.owner, thread, after=len(found)
            )
            assert page is not None
            if not page.entries:
                return found
            found += [entry.canonical() for entry in page.entries]


@asynccontextmanager
async def process_on(given: TestDatabase, **changes: str) -> AsyncIterator[Process]:
    """A running process."""
    settings = load(given.service_environment() | changes)
    database = Database(settings)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.aclose)
        await database.open()
        delivery = Delivery(database, wakeups_for(settings, database))
        stack.push_async_callback(delivery.aclose)
        delivery.start()
        appender = Appender(database, settings, delivery.committed)
        stack.push_async_callback(appender.aclose)
        appender.start()
        await until(lambda: delivery.wakeups.is_connected, what="the way to other processes")
        yield Process(settings, database, delivery, appender, Journal(database, delivery.publish))


async def principal_of(given: TestDatabase, owner: str = OWNER) -> Principal:
    """A user of a new tenant."""
    tenant = await seed_tenant(given.superuser_url)
    return Principal(tenant=tenant, owner=owner, actor="test")


async def thread_of(given: TestDatabase, principal: Principal) -> str:
    """A new thread."""
    return await seed_thread(given.superuser_url, principal.tenant, principal.owner)
