"""The lines that are measured, each with the target it is held against (docs/performance.md)."""

from __future__ import annotations

import asyncio
import functools
import json
import sys
import time
from dataclasses import asdict, dataclass, field

from .generate import Line, given
from .load import Caller, Socket, Tally
from .stack import USER, Stack

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Case:
    """A line of load, and what must and what should be reached, as multiples of A (and B)."""

    name: str
    must: float
    aim: float
    must_b: float | None = None
    aim_b: float | None = None
    threads: int = 64
    load: dict[str, object] = field(default_factory=dict)


CASES = (
    Case("WebSocket, window 8", 0.9, 1.4, 2.0, 3.0),
    Case("WebSocket, window 1", 0.5, 0.8, load={"window": 1}),
    Case("WebSocket, one hot thread, window 8", 0.9, 1.4, threads=1),
    Case("HTTP POST, keep-alive", 0.3, 0.45, load={"kind": "http"}),
    Case("WebSocket, window 8, 1 subscriber", 0.8, 1.1, load={"subscribers": 1}),
    Case("WebSocket, window 8, 10 subscribers", 0.6, 0.9, load={"subscribers": 10}),
)


async def measure(stack: Stack, case: Case, seconds: float) -> dict[str, float]:
    """One round of one line, with the CPU that the service used per append."""
    line = Line(
        host=HOST,
        port=stack.port,
        bearer=stack.bearer,
        user=USER,
        threads=await stack.threads(case.threads),
        seconds=seconds,
        **case.load,  # type: ignore[arg-type]  # a table of keyword arguments
    )
    before, started = stack.service_cpu(), time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.generate"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(
        process.communicate(json.dumps(asdict(line)).encode()), seconds + 90
    )
    figures: dict[str, float] = json.loads(out)
    elapsed = time.perf_counter() - started
    spent = stack.service_cpu() - before
    figures["service_cpu"] = spent / elapsed
    # The service also works during the warm-up: only the share of the measured time counts.
    appends = figures["appends"] * (1 + 0.7 / seconds)
    figures["service_us_per_append"] = spent / appends * 1e6 if appends else float("nan")
    return figures


async def idle_sockets(stack: Stack, count: int) -> dict[str, float]:
    """Resident bytes of the service per open socket that does nothing."""
    caller = Caller(HOST, stack.port, stack.bearer, USER)
    loop = asyncio.get_running_loop()
    tally = Tally()
    before = stack.service_rss()
    sockets = []
    for at in range(0, count, 50):
        batch = [Socket(caller, tally, thread="", key="", window=0) for _ in range(50)]
        await asyncio.gather(
            *(loop.create_connection(functools.partial(given, s), HOST, stack.port) for s in batch)
        )
        await asyncio.gather(*(s.opened for s in batch))
        sockets.extend(batch)
        if at == 0:
            before = stack.service_rss()  # the first fifty pay for code and buffers once
    after = stack.service_rss()
    for each in sockets:
        each.close()
    return {"sockets": len(sockets), "bytes_per_socket": (after - before) / (len(sockets) - 50)}


async def long_thread(stack: Stack, small: str, large: str, rounds: int) -> dict[str, float]:
    """Latency of an append and of the last 50, in a short and in a long thread, in turn."""
    samples: dict[str, list[float]] = {name: [] for name in ("as", "al", "rs", "rl")}
    for number in range(rounds):
        for letter, thread in (("s", small), ("l", large)):
            samples[f"a{letter}"].append(await _timed_append(stack, thread, number))
            samples[f"r{letter}"].append(await _timed_read(stack, thread))
    median = {name: sorted(values)[len(values) // 2] * 1000 for name, values in samples.items()}
    return {
        "append_short_ms": median["as"],
        "append_long_ms": median["al"],
        "read_short_ms": median["rs"],
        "read_long_ms": median["rl"],
        "append_ratio": median["al"] / median["as"],
        "read_ratio": median["rl"] / median["rs"],
    }


async def _timed_append(stack: Stack, thread: str, number: int) -> float:
    started = time.perf_counter()
    body = {"messages": [{"content": f"timed {number}"}]}
    async with stack.session.post(f"/v1/threads/{thread}/messages", json=body) as answer:
        answer.raise_for_status()
        await answer.read()
    return time.perf_counter() - started


async def _timed_read(stack: Stack, thread: str) -> float:
    started = time.perf_counter()
    path = f"/v1/threads/{thread}/messages?limit=50"
    async with stack.session.get(path) as answer:
        answer.raise_for_status()
        await answer.read()
    return time.perf_counter() - started
