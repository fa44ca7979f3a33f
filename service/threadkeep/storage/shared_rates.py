"""Processes tell each other by Redis what their users have taken of their limits.

Told in the background, so nobody waits for Redis: a user who spreads over several processes may
exceed a limit by what fits into one interval. While Redis is away each process counts for itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from typing import Final

import msgspec
import redis.asyncio
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from threadkeep.logs import get_logger

_log = get_logger(__name__)

INTERVAL_SECONDS: Final = 0.25
"""How often a process tells the others."""
_CHANNEL: Final = "threadkeep:rates"
_LIMIT_SECONDS: Final = 2.0
"""Longest wait for an answer of Redis."""
_ASK_SECONDS: Final = 5.0
"""An idle connection is asked this often whether it still exists."""
_RETRY_SECONDS: Final = 1.0
"""Pause before a lost connection is made anew."""
_WAITING: Final = 20_000
"""Users whose takings wait to be told; those of others are not."""
_ROWS: Final = 1000
"""Users in one message."""
_AWAY: Final = (OSError, TimeoutError, RedisError)

Charge = Callable[[str, str, str, int, int], None]
"""(kind, tenant, owner, limit per minute, count): takes what another process reports."""
_Taken = tuple[str, str, str, int]


class _Report(msgspec.Struct, array_like=True):
    process: str
    taken: list[tuple[str, str, str, int, int]]


class SharedRates:
    """Tells what is taken here, and charges what is taken elsewhere."""

    def __init__(self, url: str, charge: Charge) -> None:
        self._client = redis.asyncio.Redis.from_url(
            url,
            socket_timeout=_LIMIT_SECONDS,
            socket_connect_timeout=_LIMIT_SECONDS,
            retry=Retry(NoBackoff(), 0),  # this class does it, so that it can say so
        )
        self._charge = charge
        self._process = secrets.token_hex(8)
        self._waiting: dict[_Taken, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._decoder = msgspec.json.Decoder(_Report)
        self.is_connected = False
        """Whether limits hold across processes now."""

    def start(self) -> None:
        """Begin to tell and to listen."""
        self._task = asyncio.create_task(self._run(), name="shared-rates")

    async def aclose(self) -> None:
        """Stop; what was not told yet is not told."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._client.aclose()

    def spent(self, kind: str, tenant: str, owner: str, limit: int, n: int) -> None:
        """Note what a user has taken; told within the interval."""
        key = (kind, tenant, owner, limit)
        known = self._waiting.get(key)
        if known is not None:
            self._waiting[key] = known + n
        elif self.is_connected and len(self._waiting) < _WAITING:
            self._waiting[key] = n

    async def _run(self) -> None:
        while True:
            pubsub = self._client.pubsub()
            try:
                await self._connected(pubsub)
            except _AWAY as exc:
                if self.is_connected:
                    _log.warning("rates.unshared", error=type(exc).__name__)
            finally:
                self.is_connected = False
                self._waiting.clear()
                with contextlib.suppress(*_AWAY):
                    await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis says nothing here
            await asyncio.sleep(_RETRY_SECONDS)

    async def _connected(self, pubsub: PubSub) -> None:
        await pubsub.subscribe(_CHANNEL)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(pubsub))
                group.create_task(self._tell())
        except BaseExceptionGroup as exc:
            raise exc.exceptions[0] from exc

    async def _listen(self, pubsub: PubSub) -> None:
        asked = False
        while True:
            message = await pubsub.get_message(timeout=_ASK_SECONDS)
            if message is None:
                if asked:
                    raise TimeoutError
                await pubsub.ping()
            elif message["type"] == "subscribe":
                self.is_connected = True
                _log.info("rates.shared")
            elif message["type"] == "message":
                self._hear(message["data"])
            asked = message is None

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            waiting, self._waiting = self._waiting, {}
            taken = [(*key, count) for key, count in waiting.items()]
            for start in range(0, len(taken), _ROWS):
                report = _Report(self._process, taken[start : start + _ROWS])
                await self._client.publish(_CHANNEL, msgspec.json.encode(report))

    def _hear(self, data: bytes) -> None:
        try:
            report = self._decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            _log.warning("rates.unreadable", length=len(data))
            return
        if report.process == self._process:
            return
        for kind, tenant, owner, limit, count in report.taken:
            if limit > 0 and count > 0:
                self._charge(kind, tenant, owner, limit, count)
