"""Clients that go on while a release is changed under them, and a ledger of what they were told."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import websockets

from threadkeep.client import Threadkeep

from ..scenarios.callers import Caller, Json, Refused, Tenant
from ..scenarios.persistence.ledger import Ledger
from ..scenarios.wire import open_socket
from ..support.waiting import until

WRITERS = 6
"""Half of them plain HTTP with repeats of their own, half the Python client with its repeats."""
SOCKETS = 24
_PACE_SECONDS = 0.05
"""Between two appends of one writer: load without starving a small machine."""
_PAUSE_SECONDS = 0.05
_ANSWER_SECONDS = 60.0
_GONE = (OSError, EOFError, TimeoutError, websockets.WebSocketException)


@dataclass
class Load:
    """Writers and readers of one tenant, through every address; counts of what they met."""

    callers: Sequence[Caller]
    threads: Sequence[str]
    tenant: Tenant
    ledger: Ledger
    name: str
    """Begins every text, so that no two loads of one ledger say the same."""
    appends: int = 0
    """Acknowledged now."""
    failed_attempts: int = 0
    """Of writers that count attempts: those without an acknowledgement."""
    repeated: int = 0
    """Appends whose first attempt failed."""
    reconnects: list[float] = field(default_factory=list)
    """Seconds from the end of a socket to the answer of the subscription that resumed it."""
    seen: list[dict[int, str]] = field(default_factory=list)
    """What each socket was told: seq → entry."""
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def grown(self, by: int) -> None:
        """So many more appends are acknowledged."""
        wanted = self.appends + by
        await until(lambda: self.appends >= wanted, 120, what="appends under load")

    async def write(self, number: int) -> None:
        """Append with keys, each until it is acknowledged, by one address or another."""
        for n in itertools.count():
            if self._over.is_set():
                return
            thread, text = self.threads[n % len(self.threads)], f"{self.name}-http{number}-{n}"
            await self._persist(thread, text, first=number + n)
            await asyncio.sleep(_PACE_SECONDS)

    async def _persist(self, thread: str, text: str, *, first: int) -> None:
        async with asyncio.timeout(_ANSWER_SECONDS):
            for attempt in itertools.count():
                caller = self.callers[(first + attempt) % len(self.callers)]
                try:
                    answer = await caller.say(thread, text, key=text)
                except (httpx.TransportError, Refused) as exc:
                    self.ledger.note_failure(thread, text, str(exc)[:80] or type(exc).__name__)
                    self.failed_attempts += 1
                    self.repeated += attempt == 0
                    await asyncio.sleep(_PAUSE_SECONDS)
                    continue
                self.ledger.note(thread, text, answer["first_seq"])
                self.appends += 1
                return

    async def write_with_client(self, number: int) -> None:
        """The same through the Python client, which repeats by itself."""
        url = self.callers[number % len(self.callers)].url
        async with Threadkeep(url, api_key=self.tenant.key, user="ann") as keep:
            for n in itertools.count():
                if self._over.is_set():
                    return
                thread, text = self.threads[n % len(self.threads)], f"{self.name}-py{number}-{n}"
                async with asyncio.timeout(_ANSWER_SECONDS):
                    answer = await keep.append(thread, text)
                self.ledger.note(thread, text, answer.first_seq)
                self.appends += 1
                await asyncio.sleep(_PACE_SECONDS)

    async def follow(self, number: int) -> None:
        """Read a thread by socket, resuming at the last cursor after every break."""
        thread, seen = self.threads[number % len(self.threads)], self.seen[number]
        start: Json = {"after_seq": 0}
        broke_at: float | None = None
        for turn in itertools.count():
            caller = self.callers[(number + turn) % len(self.callers)]
            try:
                async with open_socket(caller.url, caller.headers) as socket:
                    answer = await socket.command("subscribe", thread_id=thread, **start)
                    if answer["type"] == "error":  # the database was not there in time
                        broke_at = broke_at or time.monotonic()
                        await asyncio.sleep(_PAUSE_SECONDS)
                        continue
                    assert answer["verdict"] == "resumed", answer
                    if broke_at is not None:
                        self.reconnects.append(time.monotonic() - broke_at)
                        broke_at = None
                    while True:
                        frame = await socket.next(_ANSWER_SECONDS)
                        if "seq" in frame:
                            start = {"cursor": take(seen, frame)}
            except _GONE:
                broke_at = broke_at or time.monotonic()
                await asyncio.sleep(_PAUSE_SECONDS)

    def stop_writing(self) -> None:
        """Each writer ends after the append that it is at."""
        self._over.set()

    async def until_read(self) -> None:
        """Every socket has told all that its thread holds."""
        heads = {thread: await self._head(thread) for thread in self.threads}
        wanted = [heads[self.threads[n % len(self.threads)]] for n in range(len(self.seen))]
        await until(
            lambda: all(len(s) >= n for s, n in zip(self.seen, wanted, strict=True)),
            60,
            what="sockets that have read to the end",
        )

    async def _head(self, thread: str) -> int:
        found: int = (await self.callers[0].thread(thread))["last_seq"]
        return found


def take(seen: dict[int, str], frame: Json) -> str:
    """Note an entry; its cursor. A hole, or another text at the same place, is an error."""
    text = json.dumps(frame, sort_keys=True)
    seq = frame["seq"]
    assert seq <= len(seen) + 1, f"a hole before {seq}"
    assert seen.setdefault(seq, text) == text, f"entry {seq} differs between two deliveries"
    return f"{frame['epoch']}-{seq}"


@asynccontextmanager
async def running(load: Load) -> AsyncIterator[Load]:
    """Writers and readers at work; at the end all that was written has been read."""
    load.seen = [{} for _ in range(SOCKETS)]
    async with asyncio.TaskGroup() as readers:
        reading = [readers.create_task(load.follow(number)) for number in range(SOCKETS)]
        async with asyncio.TaskGroup() as writers:
            for number in range(WRITERS):
                write = load.write if number % 2 else load.write_with_client
                writers.create_task(write(number))
            yield load
            load.stop_writing()
        await load.until_read()
        for task in reading:
            task.cancel()


async def compare(callers: Sequence[Caller], threads: Sequence[str], ledger: Ledger) -> int:
    """Every thread's log, read through every address, against the ledger; how many entries."""
    total = 0
    for thread in threads:
        logs: list[list[dict[str, Any]]] = [await caller.entries(thread) for caller in callers]
        entries = logs[0]
        texts = [(e["seq"], e["payload"]["content"]) for e in entries if e["type"] == "message"]

        assert all(log == entries for log in logs)
        assert [entry["seq"] for entry in entries] == [*range(1, len(entries) + 1)]
        ledger.compare(thread, texts)
        total += len(entries)
    return total
