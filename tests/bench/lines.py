"""The lines that are measured, each with the target it is held against (docs/performance.md)."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field

from .generate import Line
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
