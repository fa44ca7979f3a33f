"""How processes tell each other that something has happened to a thread.

A wake-up names a tenant and a thread and never carries content. Any of them may be lost: the
sweep of delivery finds what they would have told.
"""

from __future__ import annotations

import abc
import asyncio
import random
import secrets
from collections.abc import Callable
from typing import Final

from typing_extensions import override

from threadkeep.logs import get_logger

_log = get_logger(__name__)

STREAMING: Final = "p"
"""Instead of a seq: text of a message that is streaming has grown."""
TYPING: Final = "t"
"""Instead of a seq: the thread's owner is typing somewhere."""

PENDING: Final = 20_000
"""Threads that may wait to be told of; more are dropped and left to the sweep."""
_LONGEST_PAUSE: Final = 0.005
_PAUSE_OF_EACH: Final = 0.0005
"""Between two sendings, for each thread that the last one told of: a single one is followed at
once by the next, and a busy process coalesces instead of sending after every commit."""
_FIRST_BACKOFF: Final = 0.1
_LONGEST_BACKOFF: Final = 5.0
_CANCEL_SECONDS: Final = 0.5
"""A task that has not ended so long after it was cancelled is cancelled again."""

OnWake = Callable[[str, str, int | str], None]
"""(tenant, thread, seq or STREAMING or TYPING), called from the event loop."""


class Wakeups(abc.ABC):
    """One process' side of it. The counters are read by metrics."""

    name = ""
    is_silent = False
    """True when not even this process may tell itself, so that only the sweep delivers."""

    def __init__(self) -> None:
        self.sent = 0
        """Threads told of."""
        self.received = 0
        """Threads that others told of."""
        self.dropped = 0
        """Threads not told of, because too many waited."""
        self.failures = 0
        """Times that the way to the others was lost or could not be had."""
        self.is_connected = True
        """False while only the sweep delivers what other processes append."""

    @abc.abstractmethod
    def start(self, on_wake: OnWake) -> None:
        """Begin; `on_wake` hears what other processes send."""

    @abc.abstractmethod
    def send(self, tenant: str, thread: str, seq: int) -> None:
        """The thread's log has grown to `seq`. Coalesced; never waits, never fails."""

    @abc.abstractmethod
    def hint(self, tenant: str, thread: str, kind: str) -> None:
        """The same for what has no seq: `STREAMING` or `TYPING`."""

    def watch(self, thread: str) -> None:  # noqa: B027 - most ways hear of all threads
        """This process has subscribers for the thread."""

    def unwatch(self, thread: str) -> None:  # noqa: B027 - as watch
        """The opposite of one `watch`."""

    async def heard(self, thread: str) -> None:  # noqa: B027 - as watch
        """Wait until what is sent about a watched thread is heard, or a moment at most."""

    async def aclose(self) -> None:  # noqa: B027 - one way has nothing to stop
        """Stop; what still waits may be lost."""


class Coalesced(Wakeups):
    """Keeps what is to be sent, and a task that sends it and comes back after every failure."""

    failures_of: tuple[type[BaseException], ...] = (OSError, TimeoutError)
    """What means that the way to the others is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.is_connected = False
        self._origin = secrets.token_hex(4)
        self._grown: dict[str, tuple[str, int]] = {}
        self._hints: set[tuple[str, str, str]] = set()
        self._waiting = asyncio.Event()
        self._on_wake: OnWake = _nobody
        self._task: asyncio.Task[None] | None = None
        self._is_closing = False

    @override
    def start(self, on_wake: OnWake) -> None:
        self._on_wake = on_wake
        self._task = asyncio.create_task(self._run(), name=f"wakeups-{self.name}")

    @override
    async def aclose(self) -> None:
        self._is_closing = True  # for a cancellation that a driver has swallowed
        task, self._task = self._task, None
        while task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_CANCEL_SECONDS)

    @override
    def send(self, tenant: str, thread: str, seq: int) -> None:
        grown = self._grown
        known = grown.get(thread)
        if known is None:
            if len(grown) >= PENDING:
                self.dropped += 1
                return
        elif known[1] >= seq:
            return
        grown[thread] = tenant, seq
        self._waiting.set()

    @override
    def hint(self, tenant: str, thread: str, kind: str) -> None:
        if len(self._hints) >= PENDING:
            self.dropped += 1
            return
        self._hints.add((tenant, thread, kind))
        self._waiting.set()

    @abc.abstractmethod
    async def _connected(self) -> None:
        """Connect and send until the way is lost, which raises one of `failures_of`."""

    def _take(self) -> list[tuple[str, str]]:
        """(thread, item) of everything that waits."""
        self._waiting.clear()
        items = [(thread, f"{t}.{thread}.{seq}") for thread, (t, seq) in self._grown.items()]
        items += [(thread, f"{t}.{thread}.{kind}") for t, thread, kind in self._hints]
        self._grown.clear()
        self._hints.clear()
        self.sent += len(items)
        return items

    async def _pause(self, told: int) -> None:
        """Let more gather after a sending that has told of so many threads."""
        await asyncio.sleep(min(_LONGEST_PAUSE, told * _PAUSE_OF_EACH))

    def _hear(self, payload: str) -> None:
        origin, _, items = payload.partition("|")
        if origin == self._origin:
            return
        for item in items.split(";"):
            parts = item.split(".")
            if len(parts) != 3:
                continue
            tenant, thread, what = parts
            self.received += 1
            self._on_wake(tenant, thread, int(what) if what.isdecimal() else what)

    def _say(self, items: list[str]) -> str:
        return f"{self._origin}|{';'.join(items)}"

    def _came(self) -> None:
        self.is_connected = True
        _log.info("wakeups.connected", kind=self.name)

    async def _run(self) -> None:
        backoff = _FIRST_BACKOFF
        while not self._is_closing:
            try:
                await self._connected()
            except self.failures_of as exc:
                self.failures += 1
                if self.is_connected:
                    backoff = _FIRST_BACKOFF
                if self.is_connected or backoff == _FIRST_BACKOFF:
                    _log.warning("wakeups.lost", kind=self.name, error=type(exc).__name__)
            except Exception:  # noqa: BLE001 - a dead task would silence all wake-ups for good
                self.failures += 1
                _log.exception("wakeups.failed", kind=self.name)
            self.is_connected = False
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            backoff = min(backoff * 2, _LONGEST_BACKOFF)


def _nobody(_tenant: str, _thread: str, _what: int | str) -> None:
    """Before `start` nobody listens."""
