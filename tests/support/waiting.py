"""Waiting for what cannot be awaited, and time on machines that stand still for seconds."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar, overload

Result = TypeVar("Result")

_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.05
_ROUNDS = 10
"""No round of a wait counts for more than such a part of it."""
_TICK = 0.02
_USUAL = 0.05
"""A timer may be so late for all kinds of reasons."""


@overload
async def until(
    predicate: Callable[[], Awaitable[Result]], timeout: float = ..., *, what: str = ...
) -> Result: ...


@overload
async def until(
    predicate: Callable[[], Result], timeout: float = ..., *, what: str = ...
) -> Result: ...


async def until(
    predicate: Callable[[], Result | Awaitable[Result]],
    timeout: float = 5.0,
    *,
    what: str = "",
) -> Result:
    """Ask until the answer is true in the sense of `if`, and return it; fail after `timeout` s.

    An exception of the predicate is not an answer: it ends the wait. A standstill of the machine
    is no time in which anything could become true: it costs a tenth of the wait at most.
    """
    waited, last = 0.0, time.monotonic()
    longest_round = max(timeout / _ROUNDS, 2 * _LONGEST_PAUSE)
    pause = _FIRST_PAUSE
    while True:
        answer = predicate()
        value: Result = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if waited >= timeout:
            subject = what or getattr(predicate, "__name__", "the condition")
            raise AssertionError(f"{subject} was still {value!r} after {timeout:g} s")
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
        now = time.monotonic()
        waited += min(now - last, longest_round)
        last = now


class Stopwatch:
    """Tells how long something took, without the time in which the event loop stood still.

    A machine that is paused pauses all of its programs: no limit of theirs is about that.
    """

    def __init__(self) -> None:
        self._begun = self._due = time.monotonic()
        self._still = 0.0
        self._ended: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._begun = self._due = time.monotonic()
        self._set_timer()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._still, self._ended = self.still, time.monotonic()
        if self._timer is not None:
            self._timer.cancel()

    @property
    def still(self) -> float:
        """Seconds in which the event loop stood still."""
        late = 0.0 if self._ended else time.monotonic() - self._due
        return self._still + (late if late > _USUAL else 0.0)

    @property
    def seconds(self) -> float:
        """Seconds in which it did not, up to now or to the end of the block."""
        return (self._ended or time.monotonic()) - self._begun - self.still

    def _tick(self) -> None:
        self._still = self.still
        self._set_timer()

    def _set_timer(self) -> None:
        self._due = time.monotonic() + _TICK
        self._timer = asyncio.get_running_loop().call_later(_TICK, self._tick)
