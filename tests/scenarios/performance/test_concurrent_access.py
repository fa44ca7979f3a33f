"""Twenty users at once are served quickly, and none of them at the expense of another."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict

import pytest

from ..callers import Caller, Tenant
from ..figures import Figures
from ..levels import Levels

pytestmark = [
    pytest.mark.scenario("performance", "concurrent access"),
    pytest.mark.timeout(300),
]

USERS = 20
THREADS = 5
AVERAGES = {"list": 100.0, "get": 50.0, "update": 100.0, "post": 150.0}
UNFAIR = 3.0
PASSES = 3
"""Of which each user's best counts: who is treated unfairly is so in all, and a process that the
machine stopped for a moment was stopped in one."""

Seconds = dict[str, list[float]]


class Visitor:
    """A user with five threads who lists, reads, changes and posts in turn."""

    def __init__(self, user: Caller) -> None:
        self.user = user
        self.threads: list[str] = []
        self.seconds: Seconds = defaultdict(list)
        self.averages: list[float] = []
        """Seconds of a request, in each pass."""
        self.requests = 0

    async def prepare(self) -> None:
        """Make the threads."""
        for number in range(THREADS):
            thread = await self.user.create(title=f"thread {number}")
            self.threads.append(f"/v1/threads/{thread['id']}")

    async def visit(self, rounds: int) -> None:
        """A pass: four requests in each round."""
        begun = time.perf_counter()
        for turn in range(rounds):
            thread = self.threads[turn % THREADS]
            said = {"messages": [{"content": f"message {turn}"}]}
            changed = {"metadata": {"turn": turn}}
            await self._do("list", "GET", "/v1/threads", 200)
            await self._do("get", "GET", thread, 200)
            await self._do("update", "PATCH", thread, 200, json=changed)
            await self._do("post", "POST", f"{thread}/messages", 201, json=said)
        self.averages.append((time.perf_counter() - begun) / (4 * rounds))

    async def _do(self, kind: str, method: str, path: str, status: int, **options: object) -> None:
        self.seconds[kind].append(await self.user.timed(method, path, status, **options))
        self.requests += 1


async def test_twenty_users_with_five_threads_each(
    tenant: Tenant, figures: Figures, levels: Levels
) -> None:
    visitors = [Visitor(tenant.user(f"user-{n}", at=n)) for n in range(USERS)]
    await asyncio.gather(*(visitor.prepare() for visitor in visitors))
    rounds = -(-levels.user_requests // (4 * PASSES))
    begun = time.perf_counter()
    for _ in range(PASSES):
        await asyncio.gather(*(visitor.visit(rounds) for visitor in visitors))
    seconds = time.perf_counter() - begun

    requests = [visitor.requests for visitor in visitors]
    assert min(requests) >= levels.user_requests
    for number, visitor in enumerate(visitors):
        posted = 0
        for path in visitor.threads:
            posted += len(await visitor.user.messages(path.rpartition("/")[2]))
        assert posted == PASSES * rounds, f"user {number}"
    slowest, fastest = (f(min(visitor.averages) for visitor in visitors) for f in (max, min))
    assert slowest < UNFAIR * fastest
    for kind, limit in AVERAGES.items():
        times = [each for visitor in visitors for each in visitor.seconds[kind]]
        figures.latencies(kind, times, avg=limit, p95=2 * limit)
    total = sum(requests)
    figures.judge("throughput", total / seconds, "requests/s", n=total, above=50)
    figures.record("slowest to fastest user", slowest / fastest, n=min(requests))
