"""Fixtures of the socket tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from tests.integration.http.callers import Caller, Running, Tenant, running_on
from tests.support.postgres import Database

from .clients import Socket, open_socket


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loop that `threadkeep serve` runs on: its transports are what is tested."""
    return {"uvloop": uvloop.new_event_loop}


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
async def bob(tenant: Tenant) -> Caller:
    """Another user of the tenant."""
    return tenant.user("bob")


@pytest.fixture
async def thread(ann: Caller) -> str:
    """The id of a thread of ann's; its log holds `thread_created`."""
    made = await ann.post("/v1/threads", {"title": "about tides"})
    assert made.status == 201, made.body
    thread: str = made.json["id"]
    return thread


@pytest.fixture
async def socket(ann: Caller) -> AsyncIterator[Socket]:
    """A socket of ann's."""
    async with open_socket(ann) as socket:
        yield socket
