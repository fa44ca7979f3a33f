"""Open loop: appends by a schedule through one process, their frames awaited from another.

A latency counts from the moment at which the append was due, whether or not it was sent then, so
that a generator or a service that falls behind is not measured as fast.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import sys
import time
from dataclasses import dataclass

import uvloop
from typing_extensions import override

from . import wire
from .figures import latencies
from .generate import given
from .load import Caller, Peer

_WARM_UP_SECONDS = 1.0
_LATEST_SECONDS = 10.0
"""After the last append: what has not come by then is counted as missing."""
_MARK = b'"content":"paced '


@dataclass(frozen=True)
class Schedule:
    """What is sent when."""

    host: str
    port: int
    """Where the appends go."""
    other_port: int
    """Where their frames are awaited."""
    bearer: str
    user: str
    threads: list[str]
    per_second: float
    seconds: float


class Follower(Peer):
    """Subscribes to all threads, and notes when each numbered append came."""

    def __init__(self, caller: Caller, due: list[float]) -> None:
        super().__init__(caller)
        self._due = due
        self._joined = 0
        self._came: dict[int, float] = {}
        self.joined = asyncio.Event()
        self.all_came = asyncio.Event()

    async def follow(self, threads: list[str]) -> None:
        """Subscribe; returns when every thread has answered."""
        await self.opened
        for count, thread in enumerate(threads, 1):
            self.write(wire.subscribe(thread))
            while self._joined < count:
                self.joined.clear()
                await asyncio.wait_for(self.joined.wait(), 30)

    @override
    def took(self, payloads: list[bytes], now: float) -> None:
        for payload in payloads:
            at = payload.find(_MARK)
            if payload.startswith(b'{"type":"subscribed"'):
                self._joined += 1
                self.joined.set()
            elif at >= 0:
                digits = payload[at + len(_MARK) : at + len(_MARK) + 12].partition(b" ")[0]
                self._came.setdefault(int(digits), now)
        if len(self._came) == len(self._due):
            self.all_came.set()

    def seconds(self, first: int) -> list[float]:
        """From due to here, of what has come, from the append numbered `first` on."""
        return [at - self._due[n] for n, at in self._came.items() if n >= first]


async def run(plan: Schedule) -> dict[str, float]:
    """Send by the schedule; latencies in milliseconds, and how many never came."""
    loop = asyncio.get_running_loop()
    warm = int(plan.per_second * _WARM_UP_SECONDS)
    total = warm + int(plan.per_second * plan.seconds)
    due: list[float] = [0.0] * total
    sender = Peer(Caller(plan.host, plan.port, plan.bearer, plan.user))
    follower = Follower(Caller(plan.host, plan.other_port, plan.bearer, plan.user), due)
    for peer, port in ((sender, plan.port), (follower, plan.other_port)):
        await loop.create_connection(functools.partial(given, peer), plan.host, port)
    await sender.opened
    await follower.follow(plan.threads)
    lateness = await _send(plan, sender, due)
    with contextlib.suppress(TimeoutError):  # what is missing is counted below
        await asyncio.wait_for(follower.all_came.wait(), _LATEST_SECONDS)
    taken = follower.seconds(warm)
    for peer in (sender, follower):
        peer.close()
    return {
        "per_second": plan.per_second,
        "appends": total - warm,
        "missing": total - warm - len(taken),
        "sent_late_ms": lateness * 1000,
        **latencies(taken),
    }


async def _send(plan: Schedule, sender: Peer, due: list[float]) -> float:
    """The largest time by which an append was sent after it was due."""
    latest = 0.0
    begun = time.perf_counter()
    for number in range(len(due)):
        due[number] = begun + number / plan.per_second
        if (early := due[number] - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        latest = max(latest, time.perf_counter() - due[number])
        thread = plan.threads[number % len(plan.threads)]
        sender.write(
            wire.command(number, thread, f"paced-{begun}", f"paced {number} of {len(due)}")
        )
    return latest


def main() -> None:
    """Read a schedule as JSON, print its figures as JSON."""
    print(json.dumps(uvloop.run(run(Schedule(**json.load(sys.stdin))))))


if __name__ == "__main__":
    main()
