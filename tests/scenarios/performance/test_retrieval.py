"""Reading a page costs what the page holds, not what the thread holds."""

from __future__ import annotations

import os
import time
from statistics import median
from typing import Any

import pytest

from ...support import resources
from ...support.waiting import until
from ..callers import Caller, Json, Platform, Tenant
from ..conftest import SetStage
from ..database import connected
from ..figures import Figures
from ..levels import Levels

pytestmark = pytest.mark.scenario("performance", "retrieval")

SIZES = (10, 50, 100, 500, 1000)
PAGES = (10, 25, 50, 100)
REPEATS = 9
CALLS, ROUNDS = 300, 4
MOST_ROWS = 13
"""For a page of ten: itself, one more to know whether there are others, and its neighbours."""
LOOSE = 3.0
"""Between two medians of one run; a read that looked at all the thread would be far above it."""


async def filled(user: Caller, count: int) -> str:
    """A thread with so many messages."""
    thread: str = (await user.create())["id"]
    for start in range(0, count, 100):
        part = range(start, min(start + 100, count))
        await user.say(thread, *(f"message {n} of {count}" for n in part))
    return thread


async def page(user: Caller, thread: str, **params: Any) -> tuple[float, list[Json]]:
    """Seconds and messages of one page."""
    begun = time.perf_counter()
    answer = await user.ask("GET", f"/v1/threads/{thread}/messages", 200, params=params)
    return time.perf_counter() - begun, answer["data"]


async def pages(user: Caller, thread: str, **params: Any) -> tuple[list[float], list[Json]]:
    """The same page several times."""
    seen = [await page(user, thread, **params) for _ in range(REPEATS)]
    return [seconds for seconds, _ in seen], seen[0][1]


async def in_turn(user: Caller, *reads: tuple[str, Json]) -> list[tuple[list[float], list[Json]]]:
    """Several (thread, params) in turn: what else the machine does meanwhile meets all of them."""
    seen = [
        [await page(user, thread, **params) for thread, params in reads] for _ in range(REPEATS)
    ]
    return [([each[0] for each in read], read[0][1]) for read in zip(*seen, strict=True)]


async def test_last_full_and_pages_of_every_size(
    tenant: Tenant, figures: Figures, levels: Levels
) -> None:
    user = tenant.user("ann")
    await user.create()
    for size in (each for each in SIZES if each <= levels.thread_messages):
        thread = await filled(user, size)
        last, messages = await pages(user, thread, backward="true", limit=20)
        expected = [f"message {n} of {size}" for n in range(max(0, size - 20), size)]
        assert [m["payload"]["content"] for m in messages] == expected

        begun = time.perf_counter()
        everything = await user.messages(thread)
        full = time.perf_counter() - begun
        assert [m["payload"]["content"] for m in everything] == [
            f"message {n} of {size}" for n in range(size)
        ]
        figures.latencies(f"last 20 of {size}", last, p95=200)
        limit = max(500, 0.5 * size)
        figures.judge(f"all of {size}", full * 1000, "ms", n=size, below=limit)
        if size > 100:
            assert median(last) < full
        for limit in PAGES:
            seconds, messages = await pages(user, thread, limit=limit)
            assert len(messages) == min(limit, size)
            figures.latencies(f"first {limit} of {size}", seconds, p95=150)


async def test_the_last_page_is_as_quick_as_the_first(
    tenant: Tenant, figures: Figures, levels: Levels
) -> None:
    user, size = tenant.user("ann"), levels.thread_messages
    thread = await filled(user, size)
    end = (await user.thread(thread))["last_seq"]
    at_end = {"limit": 25, "after_seq": end - 25}
    (first, _), (last, messages) = await in_turn(user, (thread, {"limit": 25}), (thread, at_end))

    assert messages[-1]["seq"] == end
    assert median(last) < LOOSE * median(first)
    figures.latencies(f"first page of {size}", first, p95=150)
    figures.latencies(f"last page of {size}", last, p95=150)
    figures.record("last to first", median(last) / median(first), n=REPEATS)


async def test_a_page_of_a_long_thread_is_as_quick_as_of_a_short_one(
    tenant: Tenant, figures: Figures, levels: Levels
) -> None:
    user = tenant.user("ann")
    short, long = await filled(user, 20), await filled(user, levels.thread_messages)
    end = {"backward": "true", "limit": 20}
    (of_short, _), (of_long, _) = await in_turn(user, (short, end), (long, end))

    assert median(of_long) < LOOSE * median(of_short)
    figures.record("long to short", median(of_long) / median(of_short), n=REPEATS)


@pytest.fixture
async def alone(operator: Platform, set_stage: SetStage) -> tuple[Tenant, str]:
    """A tenant and the administrator's URL of a database that no other test has left work in."""
    if "THREADKEEP_TEST_BASE_URL" not in os.environ:
        stage = await set_stage(processes=1)
        return await stage.operator.tenant(), stage.admin_dsn
    dsn = os.environ.get("THREADKEEP_TEST_ADMIN_DSN")
    if dsn is None:
        resources.missing("admin_dsn", "THREADKEEP_TEST_ADMIN_DSN is not set")
    return await operator.tenant(), dsn


@pytest.mark.timeout(180)
async def test_pages_are_read_by_an_index_and_no_further(
    alone: tuple[Tenant, str], figures: Figures, levels: Levels
) -> None:
    """Rows that PostgreSQL fetched for a page, wherever the page lies: the plan in figures.

    Whoever else reads in the meantime, such as the projector, can only add to them: so the
    quietest of a few rounds counts.
    """
    tenant, admin_dsn = alone
    user = tenant.user("ann")
    thread = await filled(user, levels.thread_messages)
    step = levels.thread_messages // 12  # so that each of ten pages is a whole one

    rounds: list[tuple[int, float]] = []  # scans of the whole table, rows for a page
    while len(rounds) < ROUNDS and not (rounds and is_cheap(*rounds[-1])):
        before = await settled(admin_dsn)
        for number in range(CALLS):
            await page(user, thread, limit=10, after_seq=number % 10 * step)
            await page(user, thread, limit=10, backward="true")
        after = await settled(admin_dsn, rows=before["idx_tup_fetch"] + 10 * 2 * CALLS)
        rows = (after["idx_tup_fetch"] - before["idx_tup_fetch"]) / (2 * CALLS)
        rounds.append((after["seq_scan"] - before["seq_scan"], rows))

    assert is_cheap(*rounds[-1]), rounds
    assert rounds[-1][1] >= 10
    figures.record("rows fetched for a page of 10", rounds[-1][1], n=2 * CALLS)


def is_cheap(scans: int, rows: float) -> bool:
    """Whether a page cost what it holds."""
    return scans == 0 and rows <= MOST_ROWS


async def counters(dsn: str) -> dict[str, int]:
    """How the log's table has been read so far."""
    async with connected(dsn) as connection:
        row = await connection.fetchrow(
            "SELECT seq_scan, idx_scan, idx_tup_fetch FROM pg_stat_user_tables"
            " WHERE relname = 'entries'"
        )
    assert row is not None
    return dict(row)


async def settled(dsn: str, *, rows: int = 0) -> dict[str, int]:
    """The same once nobody reads in the background, and so many rows were fetched or all scanned.

    Busy backends report once a second; one that falls idle may do so ten seconds late
    (PGSTAT_IDLE_INTERVAL of PostgreSQL).
    """
    first = last = await counters(dsn)
    since = time.monotonic()

    async def is_still() -> bool:
        nonlocal last, since
        now = await counters(dsn)
        if now != last:
            last, since = now, time.monotonic()
        is_there = now["idx_tup_fetch"] >= rows or now["seq_scan"] > first["seq_scan"]
        return is_there and time.monotonic() - since > 2.5

    await until(is_still, 30, what="the server's counters")
    return last
