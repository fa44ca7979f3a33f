"""However many ask at once, the database sees no more connections than were configured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
import pytest

from ...support.waiting import until
from ..callers import Caller, Tenant
from ..charts import curves
from ..database import APP, connected
from ..figures import Figures
from ..fleet import Fleet
from ..levels import Levels
from ..stage import Stage
from .generator import Load, load, show_ceiling
from .load.burst import USER
from .load.plan import Plan

pytestmark = [pytest.mark.scenario("scaling", "database connections"), pytest.mark.timeout(300)]

LADDER = (10, 25, 50, 100, 150, 200, 1000)
UNREFUSED = 200
"""So many at once are all served; of more, some may be told to come back."""
AVERAGE_MS, LONGEST_MS = 500.0, 2000.0
ROUNDS = 3
CACHED_SECONDS = 1.1
"""Between two looks at `/readyz`, which asks the database at most once a second."""
PER_OPERATION = 0.3
"""Operations per second, of the operations at once."""
SAMPLED_EVERY = 0.01
"""Seconds between two looks at the database."""
THREADS = 20
WAITING = 400
"""Requests at a locked table: so many that they cannot all wait for a connection in turn."""


@dataclass
class Watch:
    """Connections of the service as the database sees them."""

    counts: list[int] = field(default_factory=list)

    async def look(self, connection: asyncpg.Connection[Any]) -> None:
        """Count them once."""
        count = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = $1",
            APP,
        )
        self.counts.append(count)


@asynccontextmanager
async def watched(dsn: str) -> AsyncIterator[Watch]:
    """Look again and again, all the time."""
    watch = Watch()

    async def go_on() -> None:
        async with connected(dsn) as connection:
            while True:
                await watch.look(connection)
                await asyncio.sleep(SAMPLED_EVERY)

    task = asyncio.create_task(go_on())
    await until(lambda: watch.counts or task.done(), what="the first look at the database")
    try:
        yield watch
        assert not task.done(), task.exception()
    finally:
        task.cancel()


async def test_bursts_stay_within_the_cap_and_leak_nothing(
    tenant: Tenant,
    service_urls: list[str],
    fleet: Fleet,
    admin_dsn: str,
    figures: Figures,
    levels: Levels,
) -> None:
    cap = fleet.database_connections
    user = tenant.user(USER)
    threads = [(await user.create())["id"] for _ in range(THREADS)]
    for thread in threads:
        await user.say(thread, *(f"message {n}" for n in range(20)))
    plans = [
        Plan(
            kind="burst",
            urls=service_urls,
            bearer=tenant.key,
            users=count,
            operations=ROUNDS,
            threads=threads,
            seed=count,
        )
        for count in LADDER
        if count <= levels.parallel_operations
    ]
    seen: dict[int, Load] = {}
    level = await load(plans[0])  # warms up
    async with watched(admin_dsn) as watch:
        for plan in plans:
            level = await load(plan)
            refused = sum(n for why, n in level.errors.items() if why.endswith(" 503"))
            assert level.failed == (refused if plan.users > UNREFUSED else 0), level.errors
            record(figures, plan, level)
            seen[plan.users] = level
        await none_is_kept(fleet, admin_dsn)
    waits = {
        "average": [(n, 1000 * level.average) for n, level in seen.items()],
        "longest": [(n, 1000 * max(level.latencies)) for n, level in seen.items()],
    }
    figures.draw(curves("wait", x="operations at once", y="ms", lines=waits))
    assert len(watch.counts) > 20, "the database was hardly looked at"
    figures.record("connections at most", max(watch.counts), "", n=len(watch.counts))
    figures.record("connections configured", cap, "", n=len(fleet.urls))
    assert max(watch.counts) <= cap
    await show_ceiling(plans[-1], level, figures)


def record(figures: Figures, plan: Plan, level: Load) -> None:
    """The figures of one burst."""
    name = f"{plan.users} at once"
    limits = {"avg": AVERAGE_MS, "longest": LONGEST_MS} if plan.users <= UNREFUSED else {}
    figures.latencies(name, level.latencies, **limits)
    figures.record(f"{name}, refused", level.failed, "", n=plan.users * plan.operations)
    figures.judge(
        f"{name}, throughput",
        level.throughput,
        "ops/s",
        n=level.succeeded,
        above=PER_OPERATION * plan.users,
    )


async def none_is_kept(fleet: Fleet, dsn: str) -> None:
    """After a burst no connection is taken out of a pool, and none sits in a transaction."""

    async def is_idle() -> bool:
        async with connected(dsn) as connection:
            busy = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND usename = $1 AND state <> 'idle'",
                APP,
            )
        taken = sum(await fleet.samples("threadkeep_database_connections_busy"))
        return bool(busy + taken == 0)

    await until(is_idle, 10, what="a moment without a connection in use")


async def test_who_waits_in_vain_is_told_when_to_come_back(stage: Stage, figures: Figures) -> None:
    """A table is locked: requests beyond the pool are refused in time, not kept for ever.

    The processes stay ready, or nobody would be left to tell them.
    """
    tenant = await stage.operator.tenant()
    user = tenant.user("ann")
    thread = (await user.create())["id"]
    async with connected(stage.admin_dsn) as connection, connection.transaction():
        await connection.execute("LOCK TABLE threads IN ACCESS EXCLUSIVE MODE")
        begun = time.perf_counter()
        asked = [asyncio.create_task(_asked(user, thread)) for _ in range(WAITING)]
        ready = await _readiness(user, asked)
        answers = await asyncio.gather(*asked)
        seconds = time.perf_counter() - begun

    assert {status for status, _ in answers} == {503}
    assert all(after > 0 for _, after in answers)
    assert len(ready) > 1, "nobody asked while they waited"
    assert set(ready) == {200}
    figures.record("refused after", seconds, "s", n=len(answers))
    await until(lambda: _is_well(user, thread), 20, what="the service after the lock")
    await none_is_kept(stage.fleet, stage.admin_dsn)


async def _readiness(user: Caller, asked: list[asyncio.Task[tuple[int, float]]]) -> list[int]:
    """What `/readyz` answers until the last request is answered, each answer a new one."""
    ready: list[int] = []
    # All connections of the other client are taken by those that wait.
    async with httpx.AsyncClient(timeout=10.0, trust_env=False) as client:
        while any(not task.done() for task in asked):
            ready.append((await client.get(f"{user.url}/readyz")).status_code)
            await asyncio.wait(asked, timeout=CACHED_SECONDS)
    return ready


async def _asked(user: Caller, thread: str) -> tuple[int, float]:
    answer = await user.send("GET", f"/v1/threads/{thread}")
    return answer.status_code, float(answer.headers.get("Retry-After", 0))


async def _is_well(user: Caller, thread: str) -> bool:
    return (await user.send("GET", f"/v1/threads/{thread}")).status_code == 200
