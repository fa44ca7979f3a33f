"""Threads, appends, search and the projector on a test's database, without an edge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tests.support.postgres import Database as GivenDatabase
from tests.support.seeds import OWNER, seed_tenant
from threadkeep.domain import limits
from threadkeep.domain.entries import Entry
from threadkeep.domain.messages import Message
from threadkeep.domain.principals import Principal
from threadkeep.domain.threads import Thread
from threadkeep.services.journal import Journal
from threadkeep.services.messages import Messages
from threadkeep.services.projector import Projector
from threadkeep.services.rates import Rates
from threadkeep.services.search import Search
from threadkeep.services.threads import Threads
from threadkeep.settings import load
from threadkeep.storage.appender import Appender
from threadkeep.storage.appends import Appended, Item
from threadkeep.storage.database import Database


@dataclass
class Keeping:
    """One process' worth of services, and a user of them."""

    given: GivenDatabase
    database: Database
    journal: Journal
    threads: Threads
    messages: Messages
    projector: Projector
    search: Search
    ann: Principal
    published: list[Entry] = field(default_factory=list)

    def user(self, owner: str) -> Principal:
        """Another user of the same tenant."""
        return principal(self.ann.tenant, owner)

    async def thread(self, who: Principal | None = None, **given: Any) -> Thread:
        """A new thread."""
        asked = {"external_id": None, "title": None, "metadata": {}} | given
        thread, _ = await self.threads.create(who or self.ann, **asked)
        return thread

    async def say(
        self, thread: str, *texts: str, who: Principal | None = None, key: str | None = None
    ) -> Appended:
        """Append messages."""
        batch = [Message(content=text) for text in texts]
        return await self.messages.append(who or self.ann, thread, batch, key)

    async def log(self, thread: str, who: Principal | None = None) -> Sequence[Entry]:
        """The first thousand entries of a thread."""
        page = await self.messages.page(who or self.ann, thread, limit=1000)
        return page.entries

    async def catch_up(self) -> None:
        """Let the projector find and follow everything, without its hints."""
        await self.projector.sweep()
        await self.projector.drain()

    async def found(self, q: str, who: Principal | None = None, **page: Any) -> list[str]:
        """Texts that a search gives, best first."""
        hits = await self.search.messages(who or self.ann, q, **page)
        return [hit.text for hit in hits.items]


def principal(tenant: str, owner: str = OWNER) -> Principal:
    """A user who may do what he likes as often as he likes."""
    return Principal(
        tenant=tenant, owner=owner, actor=f"user:{owner}", limits=limits.TIERS["unlimited"]
    )


def payload(entry: Entry) -> dict[str, Any]:
    """What an entry says."""
    decoded: dict[str, Any] = msgspec.json.decode(entry.body)
    return decoded


@asynccontextmanager
async def keeping_on(
    given: GivenDatabase, *, tenant: str | None = None, **changes: str
) -> AsyncIterator[Keeping]:
    """Open services; the projector is not started."""
    settings = load(given.service_environment() | changes)
    database = Database(settings)
    await database.open()
    projector = Projector(database)
    published: list[Entry] = []
    journal = Journal(database, lambda _, grown: published.extend(grown))

    def committed(grown: Sequence[tuple[Item, Appended]]) -> None:
        for item, _ in grown:
            projector.mark(item.tenant, item.thread)

    appender = Appender(database, settings, committed)
    appender.start()
    try:
        ann = principal(tenant or await seed_tenant(given.superuser_url))
        yield Keeping(
            given,
            database,
            journal,
            Threads(database, journal),
            Messages(database, appender, Rates(settings)),
            projector,
            Search(database),
            ann,
            published,
        )
    finally:
        await appender.aclose()
        await database.aclose()
