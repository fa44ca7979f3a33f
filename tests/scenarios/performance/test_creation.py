"""Threads are created quickly: one, many in a row, many at once."""

from __future__ import annotations

import asyncio
import time

import pytest

from ..callers import Tenant
from ..figures import Figures
from ..levels import Levels

pytestmark = pytest.mark.scenario("performance", "creation")


async def test_single_creations(tenant: Tenant, figures: Figures, levels: Levels) -> None:
    user = tenant.user("ann")
    await user.create()
    seconds = [
        await user.timed("POST", "/v1/threads", 201, json={"title": f"{n}"})
        for n in range(levels.samples)
    ]
    figures.latencies("single", seconds, avg=100, p95=100)


@pytest.mark.parametrize("count", [5, 10, 25, 50])
async def test_creations_in_a_row(tenant: Tenant, figures: Figures, count: int) -> None:
    user = tenant.user("ann")
    await user.ask("GET", "/v1/threads", 200)
    begun = time.perf_counter()
    made = [await user.create(title=f"{n}") for n in range(count)]
    seconds = time.perf_counter() - begun

    assert {t["id"] for t in await user.pages("/v1/threads")} == {t["id"] for t in made}
    figures.judge(f"bulk of {count}", count / seconds, "threads/s", n=count, above=10)
    figures.judge(f"bulk of {count}, each", seconds * 1000 / count, "ms", n=count, below=50)


async def test_fifty_creations_at_once(tenant: Tenant, figures: Figures) -> None:
    """Five users with ten each, through both processes."""
    users = [tenant.user(f"user-{n}", at=n) for n in range(5)]
    await asyncio.gather(*(user.ask("GET", "/v1/threads", 200) for user in users))
    begun = time.perf_counter()
    made = await asyncio.gather(*(user.create(title=f"{n}") for user in users for n in range(10)))
    seconds = time.perf_counter() - begun

    assert len({thread["id"] for thread in made}) == 50
    assert [len(await user.pages("/v1/threads")) for user in users] == [10] * 5
    figures.judge("50 at once", seconds * 1000, "ms", n=50, below=5000)
