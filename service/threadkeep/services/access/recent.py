"""What was looked up a moment ago, present or absent, so that hot callers do not ask each time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from time import monotonic
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

SECONDS: Final = 1.0
"""Age at which an answer is asked for again: part of the 5 s in which a revocation works, twice
for a user token (its issuer, then itself), and the watch over sockets comes on top."""
ENTRIES: Final = 10_000
"""Answers kept at once; the oldest go first."""


class Recent(Generic[Key, Value]):
    """Answers by key, each asked for once at a time. Failures are not kept.

    The age counts from the moment of asking, so that a slow answer is not kept for longer.
    """

    def __init__(
        self,
        *,
        seconds: float = SECONDS,
        size: int = ENTRIES,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._seconds = seconds
        self._size = size
        self._clock = clock
        self._answers: dict[Key, tuple[float, asyncio.Future[Value]]] = {}

    def __len__(self) -> int:
        return len(self._answers)

    async def get(self, key: Key, ask: Callable[[], Awaitable[Value]]) -> Value:
        """The answer for `key`, by `ask` unless it is known."""
        now = self._clock()
        known = self._answers.get(key)
        if known is not None and now - known[0] < self._seconds:
            # Shielded: one caller that goes away must not take the answer from the others.
            return known[1].result() if known[1].done() else await asyncio.shield(known[1])
        asked = asyncio.ensure_future(ask())
        self._keep(key, now, asked)
        return await asyncio.shield(asked)

    def known(self, key: Key) -> Value | None:
        """The answer for `key` if it need not be asked for."""
        known = self._answers.get(key)
        if known is None or self._clock() - known[0] >= self._seconds:
            return None
        answer = known[1]
        is_there = answer.done() and not answer.cancelled() and answer.exception() is None
        return answer.result() if is_there else None

    def forget(self, key: Key) -> None:
        """Ask again next time."""
        self._answers.pop(key, None)

    def _keep(self, key: Key, now: float, asked: asyncio.Future[Value]) -> None:
        self._answers.pop(key, None)
        while len(self._answers) >= self._size:
            self._answers.pop(next(iter(self._answers)))
        self._answers[key] = (now, asked)
        asked.add_done_callback(lambda done: self._settle(key, done))

    def _settle(self, key: Key, done: asyncio.Future[Value]) -> None:
        # Reading the exception also tells asyncio that somebody knows about it.
        if done.cancelled() or done.exception() is not None:
            known = self._answers.get(key)
            if known is not None and known[1] is done:
                del self._answers[key]
