"""The load generator as the tests use it, and how it is shown not to be the bottleneck."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ..figures import Figures
from ..reporting.surroundings import ROOT
from .load.plan import Plan, Seen

_MODULE = f"{__package__}.load"
_SECONDS = 240.0
SPARE = 2.0
"""How much more the generator must be able to do than it was asked to."""
WHOLE_CORE = 0.9
"""Share of a processor above which the generator may have been what was measured."""


@dataclass
class Load(Seen):
    """What a level of load saw, as the tests ask for it."""

    @property
    def succeeded(self) -> int:
        """Operations that were answered as they should."""
        return sum(map(len, self.seconds.values()))

    @property
    def failed(self) -> int:
        """Operations that were not."""
        return sum(self.errors.values())

    @property
    def latencies(self) -> list[float]:
        """Seconds of all operations that succeeded."""
        return [each for seconds in self.seconds.values() for each in seconds]

    @property
    def average(self) -> float:
        """Seconds of an operation."""
        return sum(self.latencies) / len(self.latencies)

    @property
    def throughput(self) -> float:
        """Operations per second."""
        return self.succeeded / self.wall

    @property
    def is_right(self) -> bool:
        """Whether nothing was lost, doubled, foreign or out of order."""
        return not any(self.wrong.values())


async def load(plan: Plan) -> Load:
    """Carry out a plan in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", _MODULE),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            given = json.dumps(dataclasses.asdict(plan)).encode()
            out, err = await process.communicate(given)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode("utf-8", "replace")[-4000:]
    seen: dict[str, Any] = json.loads(out)
    seen |= {"errors": Counter(seen["errors"]), "wrong": Counter(seen["wrong"])}
    return Load(**seen)


@asynccontextmanager
async def nothing() -> AsyncIterator[str]:
    """The address of a server that does nothing."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", _MODULE, "nothing"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        port = int(await asyncio.wait_for(process.stdout.readline(), 20))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 20)


async def show_ceiling(plan: Plan, measured: Load, figures: Figures) -> None:
    """What the same users reach without pauses where nothing is done, beside what was measured."""
    async with nothing() as url:
        idle = dataclasses.replace(
            plan, urls=[url], pause=(0.0, 0.0), is_checked=False, threads=plan.threads or ["thr_0"]
        )
        most = await load(idle)
    name = f"generator of {plan.users} {plan.kind}"
    assert most.failed == 0
    figures.record(f"{name}, ceiling", most.throughput, "ops/s", n=most.succeeded)
    spare = most.throughput / measured.throughput
    figures.judge(f"{name}, ceiling to measured", spare, "×", n=most.succeeded, above=SPARE)
    figures.judge(
        f"{name}, share of a core", measured.cpu, "", n=measured.succeeded, below=WHOLE_CORE
    )
    figures.record(f"{name}, late by P99", measured.lag * 1000, "ms", n=measured.succeeded)
