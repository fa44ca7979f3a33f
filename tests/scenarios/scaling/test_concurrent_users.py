"""Two hundred active users, and a thousand connected ones, are served as ten are."""

from __future__ import annotations

import dataclasses
import resource

import pytest

from ..callers import Tenant
from ..charts import curves
from ..figures import Figures, percentile
from ..levels import Levels
from .generator import Load, load, show_ceiling
from .load.plan import Plan

pytestmark = [
    pytest.mark.scenario("scaling", "concurrent users"),
    pytest.mark.timeout(900),
]

LADDER = (10, 25, 50, 100, 200)
AVERAGE_MS, P95_MS = 1000.0, 2000.0
ERRORS = 0.05
PER_USER = 0.5
"""Operations per second that each user must reach."""
SLOWER, KEPT = 3.0, 0.5
"""From the first level to the last: latency at most, throughput of a user at least."""
CONNECTED_AVERAGE_MS, CONNECTED_ERRORS = 500.0, 0.01
DESCRIPTORS_BESIDE = 200
"""Files that a process holds open beside its sockets."""


async def test_active_users_from_ten_to_two_hundred(
    tenant: Tenant, service_urls: list[str], figures: Figures, levels: Levels
) -> None:
    """Posting, reading, updating and creating, each over a connection of the user's own."""
    seen: dict[int, Load] = {}
    plans = [
        Plan(
            kind="people",
            urls=service_urls,
            bearer=tenant.key,
            users=users,
            operations=levels.user_operations,
            seed=users,
        )
        for users in LADDER
        if users <= levels.active_users
    ]
    assert len(plans) > 1
    for plan in plans:
        level = await load(plan)
        if plan is plans[0]:  # all others are compared with it, so a moment's halt must not count
            again = await load(dataclasses.replace(plan, seed=plan.seed + 1))
            level = min(level, again, key=lambda each: each.average)
        seen[plan.users] = level
        asked = plan.users * plan.operations
        assert level.succeeded + level.failed == asked
        assert level.failed < ERRORS * asked, level.errors
        assert level.is_right, level.wrong
        assert level.acknowledged > 0
        record(figures, plan.users, level)
    first, last = seen[plans[0].users], seen[plans[-1].users]
    figures.judge(
        "latency, last level to first",
        last.average / first.average,
        "×",
        n=last.succeeded,
        below=SLOWER,
    )
    kept = (last.throughput / plans[-1].users) / (first.throughput / plans[0].users)
    figures.judge("throughput of a user, kept", kept, "×", n=last.succeeded, above=KEPT)
    draw(figures, seen)
    await show_ceiling(plans[-1], last, figures)


def draw(figures: Figures, seen: dict[int, Load]) -> None:
    """Latency and throughput over the levels."""
    latency = {
        "average": [(n, 1000 * level.average) for n, level in seen.items()],
        "P95": [(n, 1000 * percentile(level.latencies, 95)) for n, level in seen.items()],
    }
    figures.draw(curves("latency", x="active users", y="ms", lines=latency))
    throughput = {"all users": [(n, level.throughput) for n, level in seen.items()]}
    figures.draw(curves("throughput", x="active users", y="ops/s", lines=throughput))


def record(figures: Figures, users: int, level: Load) -> None:
    """The figures of one level."""
    figures.latencies(f"{users} users", level.latencies, avg=AVERAGE_MS, p95=P95_MS)
    for kind, seconds in sorted(level.seconds.items()):
        average = 1000 * sum(seconds) / len(seconds)
        figures.record(f"{users} users, {kind} avg", average, "ms", n=len(seconds))
    figures.judge(
        f"{users} users, throughput",
        level.throughput,
        "ops/s",
        n=level.succeeded,
        above=PER_USER * users,
    )
    share = level.failed / (level.succeeded + level.failed)
    figures.record(f"{users} users, errors", 100 * share, "%", n=level.succeeded + level.failed)


async def test_a_thousand_connected_users(
    tenant: Tenant, service_urls: list[str], figures: Figures, levels: Levels
) -> None:
    """Each has a socket and follows a thread; commands come at moments of their own."""
    allow_descriptors(levels.connected_users)
    plan = Plan(
        kind="sockets",
        urls=service_urls,
        bearer=tenant.key,
        users=levels.connected_users,
        operations=levels.socket_operations,
        pause=(1.0, 3.0),
        seed=levels.connected_users,
    )
    level = await load(plan)
    asked = plan.users * plan.operations

    assert level.succeeded + level.failed == asked
    assert level.failed < CONNECTED_ERRORS * asked, level.errors
    assert level.is_right, level.wrong
    assert len(level.delivered) >= level.acknowledged > 0
    name = f"{plan.users} sockets"
    figures.latencies(f"{name}, answer", level.latencies, avg=CONNECTED_AVERAGE_MS)
    figures.latencies(f"{name}, delivery", level.delivered)
    figures.record(f"{name}, throughput", level.throughput, "ops/s", n=level.succeeded)
    figures.record(f"{name}, errors", 100 * level.failed / asked, "%", n=asked)
    await show_ceiling(plan, level, figures)


def allow_descriptors(sockets: int) -> None:
    """A level that this machine cannot carry fails, and says why."""
    wanted = sockets + DESCRIPTORS_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    assert wanted <= hard, f"{sockets} sockets need {wanted} open files, {hard} are allowed"
