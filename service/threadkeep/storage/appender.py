"""Group commit: appends gather while the batch before them is being committed.

No delay is ever added. While a thread has appends under way it belongs to one lane, hence its
appends from this process keep their order. After a lost connection a lane asks again with the
same idempotency values, so that an ambiguous commit is resolved instead of guessed (spec: data.md,
Append 5).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final

import asyncpg
from msgspec import structs

from threadkeep.errors import ThreadkeepError, Unavailable
from threadkeep.logs import get_logger
from threadkeep.settings import Settings
from threadkeep.storage.appends import (
    MISFIT,
    Appended,
    Item,
    Verdict,
    append_batch,
    append_items,
)
from threadkeep.storage.database import Database

_log = get_logger(__name__)

BATCH_ITEMS: Final = 256
"""Items in one call: more gave no throughput and made every wait longer."""
WAITING_ITEMS: Final = 8192
"""Items that may wait for one lane; above it the process is overloaded and says so."""
HELD_UP_SECONDS: Final = 0.1
"""A batch that takes longer than any usual one is likely to wait for a lock."""
_RETRY_SECONDS: Final = 0.1
"""Pause between two attempts to reach a database that is away."""
_RETRIED: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # when the connection ends while the driver looks up types
    asyncpg.PostgresError,
)
"""After these a batch is sent again, and asks by key what has become of it."""
_MISFITS: Final = frozenset({MISFIT, "23505", "55P03"})
"""SQLSTATEs after which each item gets its own verdict: misfit, repeated key, lock timeout."""

Committed = Callable[[Sequence[tuple[Item, Appended]]], None]
"""Called after a commit and before the answers, with what the log has grown by."""


class Appender:
    """Takes items from all callers of this process and gives each its verdict.

    A batch costs as much by itself as dozens of items, so the first lane takes all that it can and
    the others what is too much for it, or what comes while it waits for somebody's lock.
    """

    def __init__(self, database: Database, settings: Settings, committed: Committed) -> None:
        self._pins: dict[str, _Pin] = {}
        self._lanes = [
            _Lane(database, settings.request_seconds, committed, self._settled)
            for _ in range(settings.append_lanes)
        ]

    def start(self) -> None:
        """Start one task per lane."""
        for lane in self._lanes:
            lane.start()

    async def aclose(self) -> None:
        """Finish what waits, then stop; items still without verdict get `Unavailable`."""
        await asyncio.gather(*(lane.aclose() for lane in self._lanes))

    def submit(self, item: Item) -> None:
        """Queue one item. Its `done` is called later, also for every failure."""
        now = asyncio.get_running_loop().time()
        pin = self._pins.get(item.thread)
        if pin is None:
            pin = self._pins[item.thread] = _Pin(self._free(now))
        pin.items += 1
        pin.lane.submit(item, now)

    def _free(self, now: float) -> _Lane:
        for lane in self._lanes:
            if lane.has_room(now):
                return lane
        return min(self._lanes, key=attrgetter("waiting"))

    def _settled(self, item: Item) -> None:
        pin = self._pins[item.thread]
        pin.items -= 1
        if not pin.items:
            del self._pins[item.thread]

    def waiting(self) -> int:
        """Items without verdict, for metrics."""
        return sum(lane.waiting for lane in self._lanes)


class _Pin:
    """The lane of a thread, for as long as some of its items have no verdict."""

    __slots__ = ("items", "lane")

    def __init__(self, lane: _Lane) -> None:
        self.lane = lane
        self.items = 0


class _Lane:
    """One connection that writes one batch after another."""

    def __init__(
        self,
        database: Database,
        seconds: float,
        committed: Committed,
        settled: Callable[[Item], None],
    ) -> None:
        self._database = database
        self._seconds = seconds
        self._committed = committed
        self._settled = settled
        self._queue: deque[tuple[float, Item]] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._connection: asyncpg.Connection[Any] | None = None
        self._busy_since: float | None = None
        self.waiting = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="append-lane")

    async def aclose(self) -> None:
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task

    def has_room(self, now: float) -> bool:
        """Whether one more item will be in the next batch, and that will be soon."""
        is_held_up = self._busy_since is not None and now - self._busy_since > HELD_UP_SECONDS
        return len(self._queue) < BATCH_ITEMS and not is_held_up

    def submit(self, item: Item, now: float) -> None:
        self.waiting += 1
        if self._closing or len(self._queue) >= WAITING_ITEMS:
            self._answer([item], [Unavailable("Too many appends are waiting.")])
            return
        self._queue.append((now + self._seconds, item))
        self._wake.set()

    async def _run(self) -> None:
        while True:
            if not self._queue:
                if self._closing:
                    break
                self._wake.clear()
                await self._wake.wait()
                continue
            count = min(BATCH_ITEMS, len(self._queue))
            taken = self._in_time([self._queue.popleft() for _ in range(count)])
            if taken:
                await self._write([item for _, item in taken], min(until for until, _ in taken))
        if self._connection is not None:
            self._connection.terminate()

    def _in_time(self, taken: list[tuple[float, Item]]) -> list[tuple[float, Item]]:
        """Without those that have waited too long, which are told that nothing was changed."""
        now = asyncio.get_running_loop().time()
        late = [item for until, item in taken if until <= now]
        if late:
            self._answer(late, [Unavailable("Too many appends are waiting.") for _ in late])
        return [(until, item) for until, item in taken if until > now]

    async def _write(self, items: list[Item], deadline: float) -> None:
        items.sort(key=attrgetter("tenant", "thread"))  # stable: a thread keeps its order
        loop = asyncio.get_running_loop()
        self._busy_since = loop.time()
        try:
            verdicts = await self._attempt(items, deadline)
        except Exception:  # noqa: BLE001 - whatever it is, every item must get an answer
            _log.exception("append.failed", items=len(items))
            self._drop_connection()
            verdicts = [ThreadkeepError() for _ in items]
        self._busy_since = None
        # In the next turn, so that the database has the next batch before this one is answered.
        loop.call_soon(self._answer, items, verdicts)

    async def _attempt(self, items: list[Item], deadline: float) -> Sequence[Verdict]:
        loop = asyncio.get_running_loop()
        one_by_one = False
        while True:
            left, were_sent = deadline - loop.time(), [item.sent for item in items]
            try:
                async with asyncio.timeout(max(left, 0.0)):
                    connection = await self._connected()
                    verdicts = await self._send(connection, items, one_by_one=one_by_one)
                return [*map(_resolved, items, verdicts, were_sent)] if any(were_sent) else verdicts
            except _RETRIED as exc:
                self._drop_connection()
                _log.warning("append.retry", items=len(items), error=type(exc).__name__)
                if loop.time() + _RETRY_SECONDS >= deadline:
                    return [Unavailable(outcome_unknown=item.sent) for item in items]
            one_by_one = True  # an earlier attempt may have been committed: ask by key
            await asyncio.sleep(_RETRY_SECONDS)

    async def _send(
        self, connection: asyncpg.Connection[Any], items: list[Item], *, one_by_one: bool
    ) -> Sequence[Verdict]:
        for item in items:
            item.sent = True
        if not one_by_one:
            try:
                return await append_batch(connection, items)
            except asyncpg.PostgresError as exc:
                if exc.sqlstate not in _MISFITS:
                    raise
        return await append_items(connection, items)

    async def _connected(self) -> asyncpg.Connection[Any]:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._database.connect()
        return self._connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.terminate()

    def _answer(self, items: Sequence[Item], verdicts: Sequence[Verdict]) -> None:
        self.waiting -= len(items)
        for item in items:
            self._settled(item)
        grown = [
            (item, verdict)
            for item, verdict in zip(items, verdicts, strict=True)
            if isinstance(verdict, Appended) and not verdict.repeated
        ]
        if grown:
            self._call(self._committed, grown)
        for item, verdict in zip(items, verdicts, strict=True):
            self._call(item.done, verdict)

    @staticmethod
    def _call(callback: Callable[[Any], None], value: Any) -> None:
        try:
            callback(value)
        except Exception:  # noqa: BLE001 - one caller's mistake must not cost others their answers
            _log.exception("append.callback_failed")


def _resolved(item: Item, verdict: Verdict, was_sent: bool) -> Verdict:  # noqa: FBT001 - mapped
    """What the answer to a repeat says about an item whose first answer was lost."""
    if was_sent and isinstance(verdict, Unavailable):
        return Unavailable(outcome_unknown=True)  # the first try may still be under way
    if was_sent and isinstance(verdict, Appended) and verdict.repeated:
        # Ids are made for one request: with the same ones it is our own first try that grew the
        # log, and nobody has heard of it yet.
        is_own = list(verdict.ids) == [draft.id for draft in item.drafts]
        return structs.replace(verdict, repeated=not is_own)
    return verdict
