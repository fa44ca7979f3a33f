"""Clients that write while everything around them dies, and follow what they write."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import httpx
import websockets

from ..callers import Caller, Refused
from ..wire import open_socket
from .ledger import Ledger

_PAUSE_SECONDS = 0.05
"""Between two tries, so that a service that is away is not hammered."""
_GONE = (OSError, EOFError, TimeoutError, websockets.WebSocketException)


async def write_over_http(
    callers: list[Caller], threads: list[str], name: str, ledger: Ledger, over: asyncio.Event
) -> None:
    """Append with keys; repeat each until it is acknowledged, by one process or the other."""
    for number in itertools.count():
        if over.is_set():
            return
        thread, text = threads[number % len(threads)], f"{name}-{number}"
        for attempt in itertools.count():
            caller = callers[(number + attempt) % len(callers)]
            try:
                answer = await caller.say(thread, text, key=text)
                ledger.note(thread, text, answer["first_seq"])
                break
            except (httpx.TransportError, Refused) as exc:
                ledger.note_failure(thread, text, _reason(exc))
                if over.is_set() and attempt > 100:
                    return
                await asyncio.sleep(_PAUSE_SECONDS)


async def write_over_socket(
    callers: list[Caller], thread: str, name: str, ledger: Ledger, over: asyncio.Event
) -> None:
    """Append without keys and never repeat: what got no answer stays unknown."""
    numbers = itertools.count()
    for turn in itertools.count():
        if over.is_set():
            return
        caller = callers[turn % len(callers)]
        try:
            async with open_socket(caller.url, caller.headers) as socket:
                while not over.is_set():
                    text = f"{name}-{next(numbers)}"
                    ledger.unknown.add((thread, text))
                    answer = await socket.command("user_message", thread_id=thread, content=text)
                    if answer["type"] == "ok":
                        ledger.note(thread, text, answer["seq"])
                    else:
                        _note_error(ledger, thread, text, answer)
        except _GONE as exc:
            ledger.failures[type(exc).__name__] += 1
            await asyncio.sleep(_PAUSE_SECONDS)


def _note_error(ledger: Ledger, thread: str, text: str, answer: dict[str, Any]) -> None:
    error = answer["error"]
    ledger.failures[error["code"]] += 1
    if error.get("outcome") != "unknown":
        ledger.unknown.discard((thread, text))


async def follow(callers: list[Caller], thread: str, seen: dict[int, str]) -> None:
    """Read a thread by socket from its beginning, until cancelled.

    After each break, whenever it comes, the reader resumes at the last cursor.
    """
    cursor: dict[str, Any] = {"after_seq": 0}
    for turn in itertools.count():
        caller = callers[turn % len(callers)]
        try:
            async with open_socket(caller.url, caller.headers) as socket:
                answer = await socket.command("subscribe", thread_id=thread, **cursor)
                if answer["type"] == "error":  # no subscription: nothing would ever come
                    await asyncio.sleep(_PAUSE_SECONDS)
                    continue
                assert answer["verdict"] == "resumed", answer
                while True:
                    frame = await socket.next(60.0)
                    if "seq" not in frame or frame.get("type") == "snapshot":
                        continue
                    _take(seen, frame)
                    cursor = {"cursor": f"{frame['epoch']}-{frame['seq']}"}
        except _GONE:
            await asyncio.sleep(_PAUSE_SECONDS)


def _take(seen: dict[int, str], frame: dict[str, Any]) -> None:
    text = json.dumps(frame, sort_keys=True)
    seq = frame["seq"]
    assert seq <= len(seen) + 1, f"a hole before {seq}"
    assert seen.setdefault(seq, text) == text, f"entry {seq} differs between two deliveries"


def _reason(exc: Exception) -> str:
    return type(exc).__name__ if isinstance(exc, httpx.TransportError) else str(exc)[:80]
