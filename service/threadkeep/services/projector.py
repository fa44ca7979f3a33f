"""The projector keeps what is derived from the log: search, lists by activity.

It follows hints, which may be lost, and sweeps over all threads for those. It never locks a head,
so it cannot hold up an append, and while appends wait it leaves most of the time to them: after a
burst, search catches up. Any number of processes may run it: hints are taken with locks
that others skip, and writing a portion twice changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Final

import msgspec

from threadkeep import metrics
from threadkeep.domain import messages, words
from threadkeep.domain.entries import MESSAGE, THREAD_CREATED, THREAD_UPDATED
from threadkeep.domain.events import ROLLED_BACK
from threadkeep.errors import ThreadkeepError
from threadkeep.logs import get_logger
from threadkeep.storage import search
from threadkeep.storage.database import Database
from threadkeep.storage.search import Grown, Projection, RolledBack, Row, Seen

_log = get_logger(__name__)

FLUSH_SECONDS: Final = 0.25
"""Hints of one process are written at most four times a second."""
LOOK_SECONDS: Final = 1.0
"""How often it looks for hints of processes that ended before they could follow them."""
SWEEP_SECONDS: Final = 60.0
"""How often all threads are compared with what was seen of them."""
_RETRY_SECONDS: Final = 1.0
"""Pause after a database that is away."""
_SWEEP_THREADS: Final = 5000
"""Threads that one call of the sweep looks at."""
_THREADS: Final = 64
"""Threads of one portion."""
_ENTRIES: Final = 512
"""Entries of one portion: about 50 ms of work."""
_THREAD_BYTES: Final = 1024 * 1024
"""Bytes of one thread in one portion."""
_LONGEST_REST: Final = 9.0
"""While appends wait, it rests up to so many times as long as its last portion took …"""
_CROWD: Final = 8
"""… and less where only a few wait: once for every so many."""
_SLICE: Final = 16
"""Texts that are cut into words before others get their turn in the event loop."""
_MARKED: Final = 100_000
"""Hints that wait for the database at most; the sweep finds what is dropped."""
_FIRST: Final = ("0" * 32, "0" * 32)


class Projector:
    """Follows the log in the background of one process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: Callable[[], int] = _nobody
        self._marked: set[tuple[str, str]] = set()
        self._flushed = 0.0
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.lag = 0.0
        """Seconds that the oldest hint had waited when it was taken last."""

    def yield_to(self, waiting: Callable[[], int]) -> None:
        """Rest between portions while `waiting()` is not 0."""
        self._waiting = waiting

    def start(self) -> None:
        """Start to follow, and look once at everything."""
        metrics.sample(
            "projector_lag_seconds", "Age of the oldest hint taken last", lambda: self.lag
        )
        self._tasks = [
            asyncio.create_task(self._follow(), name="projector"),
            asyncio.create_task(self._sweep(), name="projector-sweep"),
        ]

    async def aclose(self) -> None:
        """Write the hints that wait, and stop; any process follows them later."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(ThreadkeepError):
            await self._flush()

    def mark(self, tenant: str, thread: str) -> None:
        """This thread has grown. Called after each commit; costs next to nothing."""
        if len(self._marked) < _MARKED:
            self._marked.add((tenant, thread))
        self._wake.set()

    async def drain(self) -> int:
        """Follow all hints that are there and not taken by others; how many threads grew.

        A thread that grows all the time keeps its hint, so this may last: what is marked meanwhile
        becomes a hint as often as otherwise.
        """
        total = 0
        begun = time.monotonic()
        while portion := await self._portion():
            total += portion
            if waiting := self._waiting():
                rest = min(waiting / _CROWD, _LONGEST_REST)
                await asyncio.sleep((time.monotonic() - begun) * rest)
            begun = time.monotonic()
            if begun - self._flushed >= FLUSH_SECONDS:
                await self._flush()
        return total

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK_SECONDS)
            self._wake.clear()
            pause = FLUSH_SECONDS
            try:
                await self._flush()
                if not await self.drain():
                    self.lag = 0.0
            except ThreadkeepError as exc:
                _log.warning("projector.retry", error=exc.code)
                pause = _RETRY_SECONDS
            except Exception:  # noqa: BLE001 - logged; the log must be followed whatever happens
                _log.exception("projector.failed")
                pause = SWEEP_SECONDS
            await asyncio.sleep(pause)

    async def _sweep(self) -> None:
        while True:
            try:
                if marked := await self.sweep():
                    _log.info("projector.swept", threads=marked)
                    self._wake.set()
            except ThreadkeepError as exc:
                _log.warning("projector.sweep_failed", error=exc.code)
            except Exception:  # noqa: BLE001 - logged; the sweep must go on whatever happens
                _log.exception("projector.sweep_broke")
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> int:
        """Leave hints for every thread that has grown unseen; how many."""
        total = 0
        after: tuple[str, str] | None = _FIRST
        while after is not None:
            after, marked = await search.sweep(self._database, after, _SWEEP_THREADS)
            total += marked
        return total

    async def _flush(self) -> None:
        marked, self._marked = self._marked, set()
        self._flushed = time.monotonic()
        if not marked:
            return
        try:
            await search.mark_dirty(self._database, sorted(marked))
        except BaseException:
            self._marked |= marked
            raise

    async def _portion(self) -> int:
        """Take, understand and write one portion in one transaction; threads in it."""
        async with self._database.transaction(None) as connection:
            grown = await search.take(
                connection, threads=_THREADS, entries=_ENTRIES, thread_bytes=_THREAD_BYTES
            )
            if grown:
                self.lag = max(entry.lag for entry in grown)
                projection = await _understand(grown)
                await search.project(connection, projection)
        return len(grown)


async def _understand(grown: Sequence[Grown]) -> Projection:
    projection = Projection()
    for key, entries in groupby(grown, lambda entry: (entry.tenant, entry.thread)):
        projection.seen.append(await _read_thread(key, entries, projection))
    return projection


async def _read_thread(
    key: tuple[str, str], entries: Iterable[Grown], projection: Projection
) -> Seen:
    last: int | None = None
    active: datetime | None = None
    title: Row | None = None
    for n, entry in enumerate(entries):
        if entry.seq is None or entry.owner is None:
            continue
        if n % _SLICE == _SLICE - 1:
            await asyncio.sleep(0)
        last = entry.seq
        if not entry.kind.startswith("thread_"):
            active = entry.at
        title = _title(entry, entry.owner) or title
        if entry.kind == MESSAGE:
            projection.rows.append(_row(entry, entry.seq, entry.owner))
        elif entry.kind == ROLLED_BACK:
            projection.rolled_back.append(RolledBack(*key, _run_of(entry)))
    if title is not None:
        projection.rows.append(title)
    return Seen(*key, last, active)


def _row(entry: Grown, seq: int, owner: str) -> Row:
    _, text = messages.spoken(entry.body or "")
    vector = words.vector_of(text, words.mark_of(entry.tenant, owner))
    return Row(entry.tenant, entry.thread, seq, owner, vector)


def _title(entry: Grown, owner: str) -> Row | None:
    """The row of the thread's title, where the entry sets it."""
    if entry.kind not in (THREAD_CREATED, THREAD_UPDATED):
        return None
    payload = msgspec.json.decode(entry.body or "{}")
    if entry.kind == THREAD_CREATED:
        text = payload.get("title")
        if text is None:
            return None
    elif change := payload.get("changes", {}).get("title"):
        text = change["to"] or ""
    else:
        return None
    vector = words.vector_of(text, words.mark_of(entry.tenant, owner))
    return Row(entry.tenant, entry.thread, 0, owner, vector)


def _run_of(entry: Grown) -> str:
    run: str = msgspec.json.decode(entry.body or "{}")["run_id"]
    return run.removeprefix("run_")


def _nobody() -> int:
    """Before `yield_to` nobody has to be let first."""
    return 0
