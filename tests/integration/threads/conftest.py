from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.postgres import Database as GivenDatabase

from .keeping import Keeping, keeping_on


@pytest.fixture
async def keeping(database: GivenDatabase) -> AsyncIterator[Keeping]:
    """Services on a database of this test's own."""
    async with keeping_on(database) as keeping:
        yield keeping
