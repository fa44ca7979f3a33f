from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from tests.support.postgres import Database as GivenDatabase
from threadkeep.domain.configuration import NewKey, NewTenant
from threadkeep.services.access.credentials import Credentials
from threadkeep.services.access.sealing import Sealer
from threadkeep.services.audit import Audit
from threadkeep.services.tenants import Tenants
from threadkeep.settings import load
from threadkeep.storage.database import Database

PLATFORM_KEY = "platform-" + secrets.token_urlsafe(24)


@dataclass
class Web:
    """What issuers publish: documents by URL, or the error that comes instead."""

    documents: dict[str, bytes | Exception] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)

    async def fetch(self, url: str) -> bytes:
        """The document at a URL."""
        self.fetched.append(url)
        document = self.documents.get(url, ConnectionError("nobody answers"))
        if isinstance(document, Exception):
            raise document
        return document


@dataclass
class Access:
    """The services of this area on a database of the test's own."""

    given: GivenDatabase
    database: Database
    audit: Audit
    tenants: Tenants
    credentials: Credentials
    web: Web

    async def tenant(self) -> str:
        """A new tenant; its id."""
        new = NewTenant(name=f"tenant {secrets.token_hex(8)}", tier="unlimited")
        return (await self.tenants.create(new, actor="test")).id

    async def key(self, tenant: str, **options: object) -> tuple[str, str]:
        """A new API key: its id and what callers show."""
        new = NewKey(name="test", **options)  # type: ignore[arg-type]  # options are NewKey's own
        key, bearer = await self.tenants.keys.create(tenant, new, actor="test")
        return key.id, bearer

    async def token(self, tenant: str, user: str = "ann", seconds: int = 60) -> str:
        """A user's token."""
        return await self.tenants.issuers.mint_token(tenant, user, seconds=seconds, actor="test")


@pytest.fixture
async def opened(database: GivenDatabase) -> AsyncIterator[Database]:
    """The test's database as the service uses it."""
    opened = Database(load(database.service_environment()))
    await opened.open()
    yield opened
    await opened.aclose()


@pytest.fixture
async def access(database: GivenDatabase, opened: Database) -> AsyncIterator[Access]:
    """Started services."""
    web = Web()
    settings = load(database.service_environment() | {"THREADKEEP_PLATFORM_KEY": PLATFORM_KEY})
    sealer = Sealer(PLATFORM_KEY)
    audit = Audit(opened)
    credentials = Credentials(opened, settings, sealer=sealer, audit=audit, fetch=web.fetch)
    credentials.start()
    yield Access(database, opened, audit, Tenants(opened, sealer), credentials, web)
    await credentials.aclose()
