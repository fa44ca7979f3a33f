"""Figures that are not rates: memory, lengths of threads, joins, another process, search."""

from __future__ import annotations

import asyncio
import functools
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from typing_extensions import override

from . import searched, wire
from .figures import Single, latencies
from .generate import given
from .lines import HOST
from .load import Caller, Peer
from .paced import Schedule
from .stack import USER, Stack

_WARM_SOCKETS = 100
"""Opened before the first reading of memory: they pay for code and pools once."""
_BATCH = 50
_LONG_ROUNDS = 200
_JOINS = 20
_PACED_THREADS = 50
_PER_SECOND = 500.0


async def idle_sockets(stack: Stack, count: int) -> list[Single]:
    """Resident bytes per open socket that does nothing, in a service that did nothing before.

    One that has been under load keeps free memory, and would take new sockets in without growing.
    """
    async with stack.another("idle") as fresh:
        peers = await _open(stack, fresh.port, _WARM_SOCKETS)
        before = stack.rss_of(fresh)
        peers += await _open(stack, fresh.port, count)
        after = stack.rss_of(fresh)
        for peer in peers:
            peer.close()
    kilobytes = (after - before) / count / 1024
    beside = f"{count:,} open; {before / 2**20:.0f} MB before, {after / 2**20:.0f} MB after"
    return [Single("memory per idle socket", kilobytes, "KB", 20, 15, beside)]


async def _open(stack: Stack, port: int, count: int) -> list[Peer]:
    caller = Caller(HOST, port, stack.bearer, USER)
    peers = []
    for _ in range(0, count, _BATCH):
        batch = [await _connected(caller, Peer(caller)) for _ in range(_BATCH)]
        await asyncio.gather(*(peer.opened for peer in batch))
        peers += batch
    return peers


async def _connected(caller: Caller, peer: Peer) -> Peer:
    loop = asyncio.get_running_loop()
    await loop.create_connection(functools.partial(given, peer), caller.host, caller.port)
    return peer


async def long_thread(stack: Stack, messages: int) -> list[Single]:
    """Latency of an append and of the last 50, in a short and in a long thread, in turn."""
    small, large = await stack.threads(2)
    await stack.fill(small, 100)
    await stack.fill(large, messages)
    return [
        await _ratio("append", functools.partial(_append, stack), small, large, messages),
        await _ratio("last 50", functools.partial(_read, stack), small, large, messages),
    ]


async def _ratio(
    what: str, act: Callable[[str], Awaitable[None]], small: str, large: str, messages: int
) -> Single:
    samples: dict[str, list[float]] = {small: [], large: []}
    for _ in range(_LONG_ROUNDS):
        for thread, seconds in samples.items():
            begun = time.perf_counter()
            await act(thread)
            seconds.append(time.perf_counter() - begun)
    short, long = (latencies(samples[thread])["p50_ms"] for thread in (small, large))
    beside = f"medians {long:.2f} against {short:.2f} ms"
    name = f"{what}, thread of {messages:,} against 100 messages"
    return Single(name, long / short, "×", 1.2, 1.05, beside)


async def _append(stack: Stack, thread: str) -> None:
    await stack.post(f"/v1/threads/{thread}/messages", {"messages": [{"content": "timed"}]})


async def _read(stack: Stack, thread: str) -> None:
    await stack.get(f"/v1/threads/{thread}/messages", limit="50", backward="true")


class Joiner(Peer):
    """Takes what one subscription brings."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self.snapshot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.tail: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @override
    def took(self, payloads: list[bytes], now: float) -> None:
        for payload in payloads:
            if b'"type":"snapshot"' in payload[:40]:
                self.snapshot.set_result(None)
            elif payload.startswith(wire.ENTRY) and not self.tail.done():
                self.tail.set_result(None)


async def cold_join(stack: Stack, messages: int) -> list[Single]:
    """From the subscription of a thread that nobody follows to its whole snapshot."""
    (thread,) = await stack.threads(1)
    await stack.fill(thread, messages)
    caller = Caller(HOST, stack.port, stack.bearer, USER)
    samples = []
    for _ in range(_JOINS):
        joiner = Joiner(caller)
        await _connected(caller, joiner)
        await joiner.opened
        begun = time.perf_counter()
        joiner.write(wire.subscribe(thread))
        await asyncio.wait_for(joiner.snapshot, 30)
        samples.append(time.perf_counter() - begun)
        await _append(stack, thread)
        await asyncio.wait_for(joiner.tail, 30)
        joiner.close()
    found = latencies(samples)
    beside = f"largest of {_JOINS}, each followed by a live entry; median {found['p50_ms']:.1f} ms"
    name = f"cold join of a thread of {messages:,} messages"
    return [Single(name, found["max_ms"], "ms", 100, 30, beside)]


async def other_process(stack: Stack, seconds: float) -> list[Single]:
    """From the moment an append is due to its frame at a subscriber of another process."""
    async with stack.another("other") as other:
        plan = Schedule(
            host=HOST,
            port=stack.port,
            other_port=other.port,
            bearer=stack.bearer,
            user=USER,
            threads=await stack.threads(_PACED_THREADS),
            per_second=_PER_SECOND,
            seconds=seconds,
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.paced"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        given_plan = json.dumps(asdict(plan)).encode()
        out, _ = await asyncio.wait_for(process.communicate(given_plan), seconds + 90)
    found: dict[str, float] = json.loads(out)
    beside = (
        f"P99 of {found['appends']:.0f}, open loop; p50 {found['p50_ms']:.1f},"
        f" p99.9 {found['p999_ms']:.1f} ms; {found['missing']:.0f} missing;"
        f" sent {found['sent_late_ms']:.1f} ms late at most"
    )
    name = f"append → frame at another process, {_PER_SECOND:.0f} appends/s"
    return [Single(name, found["p99_ms"], "ms", 50, 10, beside, is_whole=not found["missing"])]


async def search(stack: Stack, messages: int, seconds: float) -> list[Single]:
    """Searches of one or two words, rare and common, in one user's own messages."""
    held = await searched.fill(stack, messages)
    samples, hits = [], 0
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        begun = time.perf_counter()
        found = await stack.get("/v1/search", as_user=searched.READER, q=searched.query())
        samples.append(time.perf_counter() - begun)
        hits += bool(found["data"])
    p = latencies(samples)
    beside = (
        f"P99 of {len(samples)}, one at a time; p50 {p['p50_ms']:.1f}, p99.9 {p['p999_ms']:.1f} ms;"
        f" {hits} found something"
    )
    whole = held >= messages and hits > 0
    return [Single(f"search in {held:,} messages", p["p99_ms"], "ms", 200, 50, beside, whole)]
