"""Two `Runs` on one database stand for two processes: nothing but PostgreSQL is shared."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec

from tests.support.postgres import Database as TestDatabase
from tests.support.postgres import superuser
from tests.support.seeds import OWNER, seed_tenant, seed_thread
from tests.support.waiting import Stopwatch
from threadkeep.domain import events, ids
from threadkeep.domain.entries import Entry
from threadkeep.domain.limits import TIERS
from threadkeep.domain.messages import Message
from threadkeep.domain.principals import Principal
from threadkeep.domain.runs import Claimed, LeaseTimes, Run, RunStarted
from threadkeep.errors import Unavailable
from threadkeep.services.journal import Journal
from threadkeep.services.rates import Rates
from threadkeep.services.runs import Runs
from threadkeep.settings import load
from threadkeep.storage.database import Database

QUICK = LeaseTimes(
    lease=timedelta(seconds=0.6),
    heartbeat=timedelta(seconds=0.15),
    reap=timedelta(seconds=0.1),
    poll=timedelta(seconds=0.05),
)
"""Leases for tests that wait for one to expire."""

_STOOD_STILL = 0.5

HELD = {events.RUNNING, events.RECOVERING, events.ACTION_REQUIRED}
"""Statuses of a run whose turn has come."""


@dataclass
class Desk:
    """What one process has."""

    database: Database
    journal: Journal
    runs: Runs
    published: list[Entry] = field(default_factory=list)
    pieces: list[tuple[str, int, str]] = field(default_factory=list)
    """(message, offset, text) as published."""


@dataclass
class Office:
    """A tenant with agents, and the processes that serve it."""

    given: TestDatabase
    desks: list[Desk]
    tenant: str
    principal: Principal

    @property
    def runs(self) -> Runs:
        """Those of the first process."""
        return self.desks[0].runs

    async def thread(self, owner: str = OWNER) -> str:
        """A new thread."""
        return await seed_thread(self.given.superuser_url, self.tenant, owner)

    async def agent(self, name: str = "robot", kind: str = "worker", **settings: Any) -> str:
        """A new agent; its name."""
        await self.execute(
            "INSERT INTO agents (tenant_id, id, name, kind, settings) VALUES ($1, $2, $3, $4, $5)",
            self.tenant,
            ids.new_id(),
            name,
            kind,
            msgspec.json.encode(settings).decode(),
        )
        return name

    async def start(
        self, thread: str, text: str | None = None, desk: int = 0, **more: Any
    ) -> RunStarted:
        """Start `robot`."""
        message = None if text is None else Message(content=text)
        return await self.desks[desk].runs.start(
            self.principal, thread, agent=more.pop("agent", "robot"), message=message, **more
        )

    async def claim(self, desk: int = 0, worker: str = "w", wait: float = 0.0) -> Claimed:
        """Claim what there must be."""
        claimed = await self.desks[desk].runs.claim(self.tenant, worker, None, wait)
        assert claimed is not None
        return claimed

    async def expire(self, run: str) -> None:
        """Let a lease run out now."""
        await self.execute("UPDATE runs SET lease_until = now() WHERE id = $1", run)

    async def run(self, run: str) -> Run:
        """The run as its user sees it."""
        return await self.runs.get(self.principal, run)

    async def execute(self, query: str, *arguments: Any) -> None:
        """As the superuser."""
        async with superuser(self.given.superuser_url) as connection:
            await connection.execute(query, *arguments)

    async def log(self, thread: str, run: str | None = None) -> Sequence[tuple[str, Any]]:
        """(kind, payload) of a thread, or of one run, as the superuser finds it."""
        async with superuser(self.given.superuser_url) as connection:
            rows = await connection.fetch(
                "SELECT kind, body, seq FROM entries WHERE thread_id = $1"
                " AND ($2::uuid IS NULL OR run_id = $2) ORDER BY seq",
                thread,
                run,
            )
        if run is None:
            assert [row["seq"] for row in rows] == [*range(1, len(rows) + 1)]
        return [(row["kind"], msgspec.json.decode(row["body"])) for row in rows]

    async def kinds(self, thread: str, run: str | None = None) -> list[str]:
        """The kinds of its entries."""
        return [kind for kind, _ in await self.log(thread, run)]

    async def check(self, thread: str) -> None:
        """What must hold for every run of a thread at any moment."""
        async with superuser(self.given.superuser_url) as connection:
            rows = await connection.fetch(
                "SELECT id, status, concurrent FROM runs WHERE thread_id = $1", thread
            )
        assert rows
        turns = [r["status"] for r in rows if r["status"] in HELD and not r["concurrent"]]
        assert len(turns) <= 1
        for row in rows:
            log = await self.log(thread, row["id"].hex)
            kinds = [kind for kind, _ in log]
            events.progress_of((kind, payload.get("call_id")) for kind, payload in log)
            ended = [p["status"] for k, p in log if k == events.COMPLETED]
            assert ended == ([row["status"]] if row["status"] in events.TERMINAL else [])
            assert kinds[:1] in ([], [events.STARTED])


def gave_up_waiting(answer: object, watch: Stopwatch) -> bool:
    """Whether this is a refusal without any change, and no wonder.

    Who waits for a thread's lock gives up after a second, also where all stood still meanwhile.
    """
    is_refusal = isinstance(answer, Unavailable) and not answer.outcome_unknown
    return is_refusal and watch.still > _STOOD_STILL


@asynccontextmanager
async def office_on(
    given: TestDatabase, *, processes: int = 1, times: LeaseTimes | None = None
) -> AsyncIterator[Office]:
    """An office with the agent `robot`, whose runs are claimed by workers."""
    settings = load(given.service_environment())
    async with AsyncExitStack() as stack:
        desks = []
        for _ in range(processes):
            database = Database(settings)
            stack.push_async_callback(database.aclose)
            await database.open()
            desks.append(_desk(database, Rates(settings), times))
        tenant = await seed_tenant(given.superuser_url)
        principal = Principal(tenant, OWNER, "test", limits=TIERS["unlimited"])
        office = Office(given, desks, tenant, principal)
        await office.agent()
        yield office


def _desk(database: Database, rates: Rates, times: LeaseTimes | None) -> Desk:
    published: list[Entry] = []
    pieces: list[tuple[str, int, str]] = []

    def publish(_owner: str, entries: Sequence[Entry]) -> None:
        assert all(a.seq < b.seq for a, b in itertools.pairwise(entries))
        published.extend(entries)

    def publish_partial(*given: Any) -> None:
        pieces.append(given[4:])

    journal = Journal(database, publish)
    runs = Runs(database, journal, publish_partial, rates, times)
    return Desk(database, journal, runs, published, pieces)
