"""Fixtures of the HTTP tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.postgres import Database, superuser

from .callers import Caller, Running, Tenant, running_on
from .wires import Wire, wire_to


@pytest.fixture
async def running(database: Database) -> AsyncIterator[Running]:
    """An application on a database of this test's own."""
    async with running_on(database) as running:
        yield running


@pytest.fixture
async def tenant(running: Running) -> Tenant:
    """A tenant without limits."""
    return await running.tenant()


@pytest.fixture
async def ann(tenant: Tenant) -> Caller:
    """A user of the tenant."""
    return tenant.user("ann")


@pytest.fixture
async def thread(ann: Caller) -> str:
    """The id of a thread of ann's."""
    made = await ann.post("/v1/threads", {"title": "about tides"})
    assert made.status == 201, made.body
    thread: str = made.json["id"]
    return thread


@pytest.fixture
async def held(database: Database, thread: str) -> AsyncIterator[asyncio.Event]:
    """Appends to the thread wait until this is set, for a second at most."""
    release = asyncio.Event()
    async with superuser(database.superuser_url) as connection:

        async def hold() -> None:
            async with connection.transaction():
                digits = thread.removeprefix("thr_")
                await connection.execute(
                    "SELECT FROM heads WHERE thread_id = $1 FOR UPDATE", digits
                )
                locked.set()
                await release.wait()

        locked = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(hold())
            await locked.wait()
            yield release
            release.set()


@pytest.fixture
async def wire(ann: Caller) -> AsyncIterator[Wire]:
    """A connection of ann's, whose credential has just been looked up."""
    await ann.get("/v1/threads")
    async with wire_to(ann) as wire:
        yield wire
