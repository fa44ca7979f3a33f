"""Wake-ups by Redis: 64 channels, of which a process hears those that it has subscribers for."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import Any, Final

import redis.asyncio
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from typing_extensions import override

from threadkeep.storage.wakeups.base import Coalesced

SHARDS: Final = 64
_PREFIX: Final = "threadkeep:wakeups"
_LIMIT_SECONDS: Final = 2.0
"""Longest wait for an answer of Redis."""
_ASK_SECONDS: Final = 5.0
"""An idle connection is asked this often whether it still exists."""
_WATCH_SECONDS: Final = 0.25
"""Longest that a new subscriber waits for its channel; the sweep covers what is longer."""


class RedisWakeups(Coalesced):
    """PUBLISH on one connection, SUBSCRIBE on another; both are made anew when one is lost."""

    name = "redis"
    failures_of = (OSError, TimeoutError, RedisError)

    def __init__(self, url: str) -> None:
        super().__init__()
        self._client = redis.asyncio.Redis.from_url(
            url,
            socket_timeout=_LIMIT_SECONDS,
            socket_connect_timeout=_LIMIT_SECONDS,
            retry=Retry(NoBackoff(), 0),  # this class does it, so that it can say so
        )
        self._wanted: Counter[int] = Counter()
        self._heard: dict[int, asyncio.Event] = {}
        """Channels that were asked for; set once Redis has confirmed them."""
        self._pubsub: PubSub | None = None
        self._asking = asyncio.Lock()

    @override
    async def aclose(self) -> None:
        await super().aclose()
        await self._client.aclose()

    @override
    def watch(self, thread: str) -> None:
        self._wanted[_shard(thread)] += 1

    @override
    def unwatch(self, thread: str) -> None:
        shard = _shard(thread)
        self._wanted[shard] -= 1
        if self._wanted[shard] <= 0:
            del self._wanted[shard]  # its channel is left with the next message or pause

    @override
    async def heard(self, thread: str) -> None:
        shard = _shard(thread)
        if not self.is_connected or self._is_heard(shard):
            return
        with contextlib.suppress(*self.failures_of):
            async with asyncio.timeout(_WATCH_SECONDS):
                if confirmed := await self._ask(shard):
                    await confirmed.wait()

    @override
    async def _connected(self) -> None:
        self._heard.clear()
        pubsub = self._client.pubsub()
        try:
            await pubsub.subscribe(_PREFIX)  # one that always is, so that there is a connection
            self._pubsub = pubsub
            for shard in list(self._wanted):
                await self._ask(shard)
            self._came()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(pubsub))
                group.create_task(self._publish())
        except BaseExceptionGroup as exc:
            raise exc.exceptions[0] from exc
        finally:
            self._pubsub = None
            with contextlib.suppress(*self.failures_of):
                await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis says nothing here

    async def _ask(self, shard: int) -> asyncio.Event | None:
        """Ask for a channel, once; what is set when Redis has confirmed. None: no connection."""
        async with self._asking:
            if shard not in self._heard and self._pubsub is not None:
                self._heard[shard] = asyncio.Event()
                await self._pubsub.subscribe(_channel(shard))
            return self._heard.get(shard)

    def _is_heard(self, shard: int) -> bool:
        confirmed = self._heard.get(shard)
        return confirmed is not None and confirmed.is_set()

    async def _listen(self, pubsub: PubSub) -> None:
        asked = False
        while not self._is_closing:
            message = await pubsub.get_message(timeout=_ASK_SECONDS)
            if message is None:
                if asked:
                    raise TimeoutError
                await pubsub.ping()
            asked = message is None
            if message is not None:
                self._take_in(message)
            await self._leave_unwanted(pubsub)

    def _take_in(self, message: dict[str, Any]) -> None:
        if message["type"] == "message":
            self._hear(message["data"].decode())
        elif message["type"] == "subscribe":
            _, _, shard = message["channel"].decode().rpartition(":")
            if shard.isdecimal() and (confirmed := self._heard.get(int(shard))):
                confirmed.set()

    async def _leave_unwanted(self, pubsub: PubSub) -> None:
        async with self._asking:
            for shard in [s for s in self._heard if s not in self._wanted]:
                del self._heard[shard]
                await pubsub.unsubscribe(_channel(shard))

    async def _publish(self) -> None:
        while not self._is_closing:
            await self._waiting.wait()
            by_shard: dict[int, list[str]] = {}
            taken = self._take()
            for thread, item in taken:
                by_shard.setdefault(_shard(thread), []).append(item)
            pipe = self._client.pipeline(transaction=False)
            for shard, items in by_shard.items():
                pipe.execute_command("PUBLISH", _channel(shard), self._say(items))
            await pipe.execute()
            await self._pause(len(taken))


def _shard(thread: str) -> int:
    return int(thread[-2:], 16) % SHARDS  # the last digits of a UUIDv7 are random


def _channel(shard: int) -> str:
    return f"{_PREFIX}:{shard}"
