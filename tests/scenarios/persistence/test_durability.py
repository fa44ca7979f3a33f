"""Nothing acknowledged is lost, doubled or moved, whatever is killed and whenever."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator

import pytest

from threadkeep.embedded.postgres import PostgresServer

from ...conftest import Deploy
from ...support.postgres import Database
from ...support.service import Deployment, ServiceProcess
from ...support.waiting import until
from ..callers import Caller, platform
from ..figures import Figures
from ..levels import Levels
from .ledger import Ledger
from .writers import follow, write_over_http, write_over_socket

THREADS = 4
APPENDS_BETWEEN_KILLS = 60


@pytest.fixture
async def crashing(
    crash_server: PostgresServer, crash_database: Database, deploy: Deploy
) -> tuple[PostgresServer, Deployment]:
    """Two service processes over a server that syncs its commits."""
    return crash_server, await deploy(crash_database, processes=2)


@pytest.mark.timeout(300)
@pytest.mark.scenario("persistence", "durability")
async def test_kills_lose_nothing_acknowledged(
    crashing: tuple[PostgresServer, Deployment], levels: Levels, figures: Figures
) -> None:
    """Kill -9 of both service processes and of PostgreSQL, in turn, under load of all kinds."""
    server, deployment = crashing
    ledger, over, followed_to_end = Ledger(), asyncio.Event(), asyncio.Event()
    async with platform(deployment.urls, deployment.platform_key) as operator:
        tenant = await operator.tenant()
        ann = [tenant.user("ann", at=at) for at in (0, 1)]
        threads = [(await ann[0].create())["id"] for _ in range(THREADS)]
        seen: dict[str, dict[int, str]] = {thread: {} for thread in threads}

        async with asyncio.TaskGroup() as group:
            for number in range(4):
                order = ann if number % 2 else ann[::-1]
                group.create_task(write_over_http(order, threads, f"http{number}", ledger, over))
            for number, thread in enumerate(threads):
                name = f"socket{number}"
                group.create_task(write_over_socket(ann, thread, name, ledger, over))
                group.create_task(follow(ann, thread, seen[thread], followed_to_end))
            await _kill_in_turn(server, deployment, ledger, levels.kills)
            over.set()
            heads = await _heads(ann[0], threads)
            await until(lambda: all(len(seen[t]) >= heads[t] for t in threads), 30)
            followed_to_end.set()
            for process in deployment.processes:  # ends the followers' sockets
                await asyncio.to_thread(process.stop)
        await deployment.start()
        await _compare(ann, threads, ledger, seen)

    assert len(ledger.acknowledged) >= APPENDS_BETWEEN_KILLS * (levels.kills + 1)
    figures.record("kills", levels.kills, n=levels.kills)
    figures.record("acknowledged", len(ledger.acknowledged), n=len(ledger.acknowledged))
    figures.record("lost, doubled or moved", 0, n=len(ledger.acknowledged))


async def _kill_in_turn(
    server: PostgresServer, deployment: Deployment, ledger: Ledger, kills: int
) -> None:
    victims: Iterator[ServiceProcess | PostgresServer]
    victims = itertools.cycle([*deployment.processes, server])
    for victim in itertools.islice(victims, kills):
        await _grow(ledger)
        await asyncio.to_thread(victim.kill)
        await asyncio.to_thread(victim.start)
    await _grow(ledger)


async def _grow(ledger: Ledger) -> None:
    wanted = len(ledger.acknowledged) + APPENDS_BETWEEN_KILLS
    await until(lambda: len(ledger.acknowledged) >= wanted, 60, what="appends between kills")


async def _heads(caller: Caller, threads: list[str]) -> dict[str, int]:
    """The last seq of each thread, when it has come to rest."""
    last: dict[str, int] = {}

    async def is_still() -> bool:
        now = {thread: (await caller.thread(thread))["last_seq"] for thread in threads}
        is_same = now == last
        last.update(now)
        return is_same

    await until(is_still, 30)
    return last


async def _compare(
    callers: list[Caller], threads: list[str], ledger: Ledger, seen: dict[str, dict[int, str]]
) -> None:
    for thread in threads:
        logs = [await caller.entries(thread) for caller in callers]
        entries = logs[0]
        messages = [
            (entry["seq"], entry["payload"]["content"])
            for entry in entries
            if entry["type"] == "message"
        ]

        assert logs[0] == logs[1]
        assert [entry["seq"] for entry in entries] == [*range(1, len(entries) + 1)]
        times = [entry["ts"] for entry in entries]
        assert times == sorted(set(times))
        ledger.compare(thread, messages)
        assert [json.loads(text) for text in seen[thread].values()] == entries
