"""What the service keeps in memory follows its connections, not what is stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from ...support.waiting import until
from ..callers import Caller, Tenant, gathered
from ..charts import curves
from ..figures import Figures
from ..fleet import Fleet
from ..levels import Levels
from ..wire import open_socket
from .test_concurrent_users import allow_descriptors

pytestmark = [pytest.mark.scenario("scaling", "memory"), pytest.mark.timeout(1800)]

LADDER = ((10, 5, 50), (25, 8, 75), (50, 10, 100), (100, 12, 150))
"""Users, threads of each, messages of each."""
GROWTH = 0.10
"""Of the resident memory, from the first level to the last."""
PER_SOCKET_MB = 0.1
AT_ONCE = 8
TEXT = "a message of about one hundred characters, as people write them to each other every day"


def objects(users: int, threads: int, messages: int) -> int:
    """How many objects a level stores."""
    return users + users * threads + users * threads * messages


async def store(tenant: Tenant, level: tuple[int, int, int]) -> None:
    """All users, threads and messages of a level."""
    users, threads, messages = level
    names = [f"user-{sum(level)}-{n}" for n in range(users)]
    people = [tenant.user(name, at=n) for n, name in enumerate(names)]
    await gathered(AT_ONCE, [fill(user, messages) for user in people for _ in range(threads)])


async def fill(user: Caller, messages: int) -> None:
    """One thread."""
    thread = (await user.create())["id"]
    for start in range(0, messages, 100):
        texts = [f"{n}: {TEXT}" for n in range(start, min(start + 100, messages))]
        await user.say(thread, *texts)
    assert (await user.thread(thread))["last_seq"] >= messages


async def test_stored_data_leaves_memory_alone(
    tenant: Tenant, fleet: Fleet, figures: Figures, levels: Levels
) -> None:
    seen: list[tuple[int, float]] = []
    for level in LADDER:
        if objects(*level) > levels.stored_objects:
            break
        await store(tenant, level)
        seen.append((objects(*level), await fleet.resident()))
        figures.record(f"resident, {objects(*level):,} more objects", seen[-1][1], "MB", n=1)
    assert len(seen) > 1, "nothing to compare"
    lines = {"all processes": [(float(n), megabytes) for n, megabytes in seen]}
    figures.draw(curves("resident memory", x="objects of a level", y="MB", lines=lines))
    (_, before), (count, after) = seen[0], seen[-1]
    stored = sum(n for n, _ in seen[1:])

    figures.record("growth with stored data", 100 * (after / before - 1), "%", n=count)
    kilobytes = (after - before) * 1024
    figures.record("slope", 1000 * kilobytes / stored, "KB per 1,000 objects", n=stored)
    assert after < before * (1 + GROWTH)


async def test_open_sockets_take_little_each(
    tenant: Tenant, fleet: Fleet, service_urls: list[str], figures: Figures, levels: Levels
) -> None:
    count = levels.idle_sockets
    allow_descriptors(count)
    async with opened(tenant, AT_ONCE):  # what the first sockets load once
        pass
    before, idle = await fleet.resident(), sum(await fleet.samples("threadkeep_sockets_open"))
    async with opened(tenant, count):
        sockets = sum(await fleet.samples("threadkeep_sockets_open")) - idle
        each = (await fleet.resident() - before) / count
    assert sockets == count
    figures.record("resident per open socket", each * 1024, "KB", n=count)
    assert each < PER_SOCKET_MB

    async def are_gone() -> bool:
        return sum(await fleet.samples("threadkeep_sockets_open")) <= idle

    await until(are_gone, 20, what="the closed sockets")
    figures.record("resident after they closed", await fleet.resident() - before, "MB more", n=1)


@asynccontextmanager
async def opened(tenant: Tenant, count: int) -> AsyncIterator[None]:
    """So many sockets, each of a user of its own, which say nothing."""
    async with AsyncExitStack() as stack:
        for start in range(0, count, 50):
            users = [tenant.user(f"idle-{n}", at=n) for n in range(start, min(start + 50, count))]
            opening = (stack.enter_async_context(open_socket(u.url, u.headers)) for u in users)
            await asyncio.gather(*opening)
        yield
