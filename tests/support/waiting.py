"""Waiting for what cannot be awaited."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

Result = TypeVar("Result")

_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.05


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

    An exception of the predicate is not an answer: it ends the wait.
    """
    deadline = time.monotonic() + timeout
    pause = _FIRST_PAUSE
    while True:
        answer = predicate()
        value: Result = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if time.monotonic() >= deadline:
            subject = what or getattr(predicate, "__name__", "the condition")
            raise AssertionError(f"{subject} was still {value!r} after {timeout:g} s")
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
