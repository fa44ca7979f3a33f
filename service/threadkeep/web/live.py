"""All open sockets and streams of this process: who is looked after when, and how they leave."""

from __future__ import annotations

import asyncio
import contextlib
import random
from time import monotonic
from typing import Final, Protocol

from aiohttp import web

from threadkeep import metrics
from threadkeep.errors import Unavailable
from threadkeep.logs import get_logger
from threadkeep.web.live_metrics import Totals
from threadkeep.web.websocket_outbox import Flusher

_log = get_logger(__name__)

TICK_SECONDS: Final = 1.0
"""Grain of all times at which connections are looked after; no connection has a timer."""
_LATE_TICKS: Final = 2
DRAIN_STEP_SECONDS: Final = 0.1
"""Sockets leave in batches, one batch per step."""
DRAIN_JITTER_MS: Final = 500
"""Added to the time at which a socket is closed, so that a batch does not come back at once."""
GOODBYE_SECONDS: Final = 2.0
"""After the drain: time for closing handshakes."""
RESTART: Final = "restart"


class Connection(Protocol):
    """A socket or a stream."""

    @property
    def is_busy(self) -> bool:
        """True while commands wait for their answers."""

    def beat(self) -> float:
        """Do what is due; seconds until the next time."""

    def warn(self, reconnect_after_ms: int, reason: str) -> None:
        """Send `drain`."""

    def leave(self) -> None:
        """Close because the process is leaving."""

    def cut(self) -> None:
        """Drop the connection without a word."""


class Live:
    """One per process. `start` begins to look after connections, `drain` ends them."""

    def __init__(self) -> None:
        self.totals = Totals()
        self.flusher = Flusher(self.totals)
        self.is_draining = False
        self.sockets = 0
        self.streams = 0
        self._slots: dict[Connection, int] = {}
        self._wheel: dict[int, set[Connection]] = {}
        self._tick = 0
        self._task: asyncio.Task[None] | None = None
        self._emptied: asyncio.Event | None = None
        """Set when the last connection has gone, after the drain."""
        metrics.sample("sockets_open", "Open sockets", lambda: self.sockets)
        metrics.sample("streams_open", "Open event streams", lambda: self.streams)

    def start(self) -> None:
        """Begin to look after connections."""
        self._tick = int(monotonic() / TICK_SECONDS)
        self._task = asyncio.create_task(self._run(), name="live-connections")

    async def aclose(self) -> None:
        """Stop looking after them; those that are left are cut."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for connection in list(self._slots):
            connection.cut()
        self.totals.report()

    def refuse_while_draining(self) -> None:
        """Raise `Unavailable` when no new connection is taken."""
        if self.is_draining:
            raise Unavailable("This process is stopping; connect again.")

    def add(self, connection: Connection, seconds: float) -> None:
        """Look after a new connection, for the first time after `seconds`."""
        self._place(connection, seconds)

    def remove(self, connection: Connection) -> None:
        """The connection is over."""
        slot = self._slots.pop(connection, None)
        if slot is not None:
            self._wheel[slot].discard(connection)
        if self._emptied is not None and not self._slots:
            self._emptied.set()

    async def drain(self, seconds: float, reason: str = RESTART) -> None:
        """Tell every connection when to come back, and close all of them within `seconds`.

        A socket whose commands wait for answers is left open for them as long as there is time.
        """
        self.is_draining = True
        leaving = list(self._slots)
        random.shuffle(leaving)
        if leaving:
            _log.info("live.draining", connections=len(leaving), seconds=seconds)
        places = [seconds * n / len(leaving) for n in range(len(leaving))]
        for connection, place in zip(leaving, places, strict=True):
            jitter = random.randint(0, DRAIN_JITTER_MS)  # noqa: S311 - spreads load, no secret
            connection.warn(int(place * 1000) + jitter, reason)
        await self._leave_in_turn(list(zip(places, leaving, strict=True)), seconds)
        await self._say_goodbye()

    async def _leave_in_turn(self, plan: list[tuple[float, Connection]], seconds: float) -> None:
        begun = monotonic()
        while plan and (gone := monotonic() - begun) < seconds:
            later = []
            for place, connection in plan:
                if place > gone or connection.is_busy:
                    later.append((place, connection))
                else:
                    connection.leave()
            plan = [(place, one) for place, one in later if one in self._slots]
            await asyncio.sleep(DRAIN_STEP_SECONDS)
        for _, connection in plan:
            connection.leave()

    async def _say_goodbye(self) -> None:
        if self._slots:
            self._emptied = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), GOODBYE_SECONDS)
        for connection in list(self._slots):
            connection.cut()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                self._beat(int(monotonic() / TICK_SECONDS))
                self.totals.report()
            except Exception:  # noqa: BLE001 - logged; all other connections need the next tick
                _log.exception("live.beat_failed")

    def _beat(self, now: int) -> None:
        ticks = range(self._tick + 1, now + 1)
        due = [connection for tick in ticks for connection in self._wheel.pop(tick, ())]
        # After a standstill of the process, what peers have sent meanwhile is read first.
        is_late = len(ticks) > _LATE_TICKS
        self._tick = now
        for connection in due:
            del self._slots[connection]
            self._place(connection, TICK_SECONDS if is_late else connection.beat())

    def _place(self, connection: Connection, seconds: float) -> None:
        slot = self._tick + max(1, round(seconds / TICK_SECONDS))
        self._slots[connection] = slot
        self._wheel.setdefault(slot, set()).add(connection)


LIVE: Final = web.AppKey("live", Live)
