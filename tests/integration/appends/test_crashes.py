"""Connections and the server die under load: every answer stays true, nothing appears twice."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec

from tests.support.postgres import Database, superuser
from tests.support.waiting import until
from threadkeep.embedded.postgres import PostgresServer
from threadkeep.errors import ThreadkeepError, Unavailable
from threadkeep.storage.appends import Appended

from .lanes import Lanes, lanes_on

WRITERS = 16
THREADS = 8
BETWEEN = 40
"""Appends that are acknowledged before the next disturbance, however slow the machine is."""

Grow = Callable[[], Awaitable[None]]


@dataclass
class Ledger:
    """What a client was told, to be compared with the log."""

    acknowledged: dict[str, int] = field(default_factory=dict)
    """Text → seq."""
    unknown: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)

    def note(self, text: str, verdict: Appended | ThreadkeepError) -> None:
        """Write down one answer."""
        if isinstance(verdict, Appended):
            self.acknowledged[text] = verdict.first_seq
        elif isinstance(verdict, Unavailable) and verdict.outcome_unknown:
            self.unknown.add(text)
        else:
            self.refused.add(text)


async def test_killed_connections_lose_and_repeat_nothing(database: Database) -> None:
    """Every server process of the appender is ended 25 times while it commits."""

    async def disturb(grow: Grow) -> None:
        async with superuser(database.superuser_url) as connection:
            for _ in range(25):
                await grow()
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE usename = 'threadkeep_app' AND datname = current_database()"
                )

    async with lanes_on(database) as lanes:
        await _compare_under_load(lanes, disturb)


async def test_a_killed_server_loses_and_repeats_nothing(
    crash_server: PostgresServer, crash_database: Database
) -> None:
    """The whole server is killed with SIGKILL and started again, three times."""

    async def disturb(grow: Grow) -> None:
        for _ in range(3):
            await grow()
            await asyncio.to_thread(crash_server.kill)
            await asyncio.to_thread(crash_server.start)

    async with lanes_on(crash_database, THREADKEEP_REQUEST_SECONDS="20") as lanes:
        await _compare_under_load(lanes, disturb)


async def _compare_under_load(lanes: Lanes, disturb: Callable[[Grow], Awaitable[None]]) -> None:
    threads = [await lanes.thread() for _ in range(THREADS)]
    ledgers = {thread: Ledger() for thread in threads}
    over = asyncio.Event()

    async def write(writer: int) -> None:
        for number in itertools.count():
            if over.is_set():
                return
            thread = threads[(writer + number) % THREADS]
            text = f"{writer}-{number}"
            ledgers[thread].note(text, await lanes.append(thread, text))

    def acknowledged() -> int:
        return sum(len(ledger.acknowledged) for ledger in ledgers.values())

    async def grow() -> None:
        wanted = acknowledged() + BETWEEN
        await until(lambda: acknowledged() >= wanted, 30.0)

    async def finish() -> None:
        try:
            await disturb(grow)
        finally:
            over.set()

    await asyncio.gather(finish(), *(write(n) for n in range(WRITERS)))

    assert acknowledged() > 100
    for thread, ledger in ledgers.items():
        _compare(ledger, [(seq, _text(body)) for seq, body in await lanes.log(thread)])


def _compare(ledger: Ledger, log: list[tuple[int, str]]) -> None:
    found = {text: seq for seq, text in log}

    assert [seq for seq, _ in log] == [*range(1, len(log) + 1)]
    assert [text for text, n in Counter(text for _, text in log).items() if n > 1] == []
    assert {t: found.get(t) for t in ledger.acknowledged} == ledger.acknowledged
    assert set(found) - set(ledger.acknowledged) <= ledger.unknown
    assert not set(found) & ledger.refused


def _text(body: str) -> str:
    text: str = msgspec.json.decode(body)["content"]
    return text
