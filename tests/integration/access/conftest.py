from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.postgres import Database as GivenDatabase
from threadkeep.settings import load
from threadkeep.storage.database import Database


@pytest.fixture
async def opened(database: GivenDatabase) -> AsyncIterator[Database]:
    """The test's database as the service uses it."""
    opened = Database(load(database.service_environment()))
    await opened.open()
    yield opened
    await opened.aclose()
