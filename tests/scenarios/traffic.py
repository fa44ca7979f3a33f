"""Clients of all kinds that go on while things break, and the ledger of what they were told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from ..support.waiting import until
from .callers import Caller, Refused
from .persistence.ledger import Ledger
from .persistence.writers import follow, write_over_http, write_over_socket

HTTP_WRITERS = 4
_SECONDS = 60.0


@dataclass
class Traffic:
    """What one user writes and reads through every address."""

    callers: list[Caller]
    threads: list[str]
    ledger: Ledger = field(default_factory=Ledger)
    seen: dict[str, dict[int, str]] = field(default_factory=dict)
    """Thread → seq → entry, as followers received it."""
    logs: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """Thread → its messages, once compared."""

    async def grow(self, count: int, seconds: float = _SECONDS) -> None:
        """Wait for so many more acknowledged appends."""
        wanted = len(self.ledger.acknowledged) + count
        await until(
            lambda: len(self.ledger.acknowledged) >= wanted,
            seconds,
            what=f"{count} appends more, after {dict(self.ledger.failures)}",
        )

    async def compare(self) -> None:
        """Nothing acknowledged is lost, doubled or moved; every reader sees the same log."""
        for thread in self.threads:
            logs = [await caller.entries(thread) for caller in self.callers]
            entries = logs[0]
            messages = [
                (entry["seq"], entry["payload"]["content"])
                for entry in entries
                if entry["type"] == "message"
            ]

            assert all(log == entries for log in logs)
            assert [entry["seq"] for entry in entries] == [*range(1, len(entries) + 1)]
            times = [entry["ts"] for entry in entries]
            assert times == sorted(set(times))
            self.ledger.compare(thread, messages)
            assert [json.loads(text) for text in self.seen[thread].values()] == entries


@asynccontextmanager
async def traffic(callers: list[Caller], *, threads: int) -> AsyncIterator[Traffic]:
    """Writers by HTTP and socket, and followers, for as long as the block lasts.

    Afterwards every follower has come to the end of its thread.
    """
    made = [(await callers[0].create())["id"] for _ in range(threads)]
    going = Traffic(callers, made)
    over = asyncio.Event()
    followers = [
        asyncio.create_task(follow(callers, thread, going.seen.setdefault(thread, {})))
        for thread in made
    ]
    try:
        async with asyncio.TaskGroup() as writers:
            for number in range(HTTP_WRITERS):
                order = callers if number % 2 else callers[::-1]
                name = f"http{number}"
                writers.create_task(write_over_http(order, made, name, going.ledger, over))
            for number, thread in enumerate(made):
                name = f"socket{number}"
                writers.create_task(write_over_socket(callers, thread, name, going.ledger, over))
            yield going
            over.set()
        await _followed(going, followers)
    finally:
        for follower in followers:
            follower.cancel()
        await asyncio.gather(*followers, return_exceptions=True)


async def _followed(going: Traffic, followers: list[asyncio.Task[None]]) -> None:
    """Wait until the followers have everything; what ended one of them is raised."""
    heads = await _heads(going)

    def is_complete() -> bool:
        for follower in followers:
            if follower.done():
                follower.result()
        return all(len(going.seen[thread]) >= heads[thread] for thread in going.threads)

    await until(is_complete, _SECONDS, what="the followers at the end of their threads")


async def _heads(going: Traffic) -> dict[str, int]:
    """The last seq of each thread, when all have come to rest and every address says so.

    An address that was hit harder than the others may refuse for a while longer.
    """
    last: dict[str, int] = {}

    async def is_still() -> bool:
        try:
            said = [
                {thread: (await caller.thread(thread))["last_seq"] for thread in going.threads}
                for caller in going.callers
            ]
        except (httpx.TransportError, Refused):
            return False
        is_same = all(heads == last for heads in said)
        last.update(said[0])
        return is_same

    await until(is_still, _SECONDS, what="the threads at rest")
    return last
