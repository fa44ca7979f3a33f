"""A tenant on the shared service, and a client of one of its users."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.tenants import DemoTenant, make_tenant
from threadkeep.client import Thread, Threadkeep

from .ways import Way, way_to


@pytest.fixture
async def tenant(service_url: str, platform_key: str) -> DemoTenant:
    """A tenant with agents."""
    return await make_tenant(service_url, platform_key)


@pytest.fixture
async def client(tenant: DemoTenant) -> AsyncIterator[Threadkeep]:
    """An open client of ann's."""
    async with tenant.client() as client:
        yield client


@pytest.fixture
async def thread(client: Threadkeep) -> Thread:
    """A thread of ann's; its log holds one entry."""
    return await client.threads.create(title="About tides")


@pytest.fixture
async def way(tenant: DemoTenant) -> AsyncIterator[Way]:
    """A way to the service that can be cut."""
    async with way_to(tenant.url) as way:
        yield way
