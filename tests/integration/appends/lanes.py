"""An appender on a test's database, and a caller of it that awaits verdicts."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.support.postgres import Database as TestDatabase
from tests.support.postgres import superuser
from tests.support.seeds import OWNER, seed_tenant, seed_thread
from threadkeep.domain import documents, messages
from threadkeep.settings import Settings, load
from threadkeep.storage.appender import Appender
from threadkeep.storage.appends import Appended, Item, Verdict
from threadkeep.storage.database import Database


@dataclass
class Lanes:
    """What the tests of the append path hold."""

    given: TestDatabase
    database: Database
    appender: Appender
    tenant: str
    committed: list[tuple[Item, Appended]] = field(default_factory=list)

    async def thread(self, owner: str = OWNER) -> str:
        """A new thread."""
        return await seed_thread(self.given.superuser_url, self.tenant, owner)

    def item(
        self,
        thread: str,
        *texts: str,
        key: str | None = None,
        owner: str = OWNER,
    ) -> tuple[Item, asyncio.Future[Verdict]]:
        """An item and the future of its verdict."""
        drafts = [messages.draft(messages.Message(content=text)) for text in texts]
        idem = documents.idem_of(key) if key else uuid.UUID(drafts[0].id).bytes
        digest = documents.digest_of(*(draft.body.encode() for draft in drafts))
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        item = Item(self.tenant, thread, owner, drafts, idem, digest, future.set_result)
        return item, future

    async def append(
        self, thread: str, *texts: str, key: str | None = None, owner: str = OWNER
    ) -> Verdict:
        """Submit one item and wait for its verdict."""
        item, future = self.item(thread, *texts, key=key, owner=owner)
        self.appender.submit(item)
        return await future

    def hurry(self, seconds: float) -> float:
        """From now on an append may wait for so long; how long it might before.

        A service is started with one limit; here what only prepares a test need not keep it.
        """
        before = self.appender._lanes[0]._seconds
        for lane in self.appender._lanes:
            lane._seconds = seconds
        return before

    async def log(self, thread: str) -> Sequence[tuple[int, str]]:
        """(seq, body) of a thread as the superuser finds it."""
        async with superuser(self.given.superuser_url) as connection:
            rows = await connection.fetch(
                "SELECT seq, body FROM entries WHERE thread_id = $1 ORDER BY seq", thread
            )
        return [(row["seq"], row["body"]) for row in rows]


@asynccontextmanager
async def lanes_on(given: TestDatabase, **changes: str) -> AsyncIterator[Lanes]:
    """An open database and a running appender."""
    settings = settings_of(given, **changes)
    database = Database(settings)
    await database.open()
    committed: list[tuple[Item, Appended]] = []
    appender = Appender(database, settings, committed.extend)
    appender.start()
    try:
        tenant = await seed_tenant(given.superuser_url)
        yield Lanes(given, database, appender, tenant, committed)
    finally:
        await appender.aclose()
        await database.aclose()


def settings_of(given: TestDatabase, **changes: str) -> Settings:
    """Settings of a service on this database."""
    return load(given.service_environment() | changes)
