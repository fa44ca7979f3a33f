"""Fixtures of the scenarios; `tests/scenarios/__init__.py` says how to use them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from ..conftest import Deploy
from ..support import resources
from ..support.postgres import Database, Databases
from .callers import Platform, Tenant, platform
from .database import Clock, connected
from .figures import Figures
from .levels import CONTROL, PROFILES, Levels, profile_of
from .reporting.plugin import FIGURES
from .reporting.surroundings import note_version
from .stage import Stage

NewTenant = Callable[[], Awaitable[Tenant]]
SetStage = Callable[..., Awaitable[Stage]]


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """Where measured figures go."""
    figures = Figures(is_excused=profile_of(request.config) != CONTROL)
    request.node.stash[FIGURES] = figures
    return figures


@pytest.fixture(scope="session")
def levels(request: pytest.FixtureRequest) -> Levels:
    """How much to do in this profile."""
    return PROFILES[profile_of(request.config)]


@pytest.fixture
async def operator(service_urls: list[str], platform_key: str) -> AsyncIterator[Platform]:
    """Whoever runs the shared service."""
    async with platform(service_urls, platform_key) as caller:
        yield caller


@pytest.fixture
async def tenant(operator: Platform) -> Tenant:
    """A tenant of the test's own."""
    return await operator.tenant()


@pytest.fixture
def new_tenant(operator: Platform) -> NewTenant:
    """Makes more of them."""
    return operator.tenant


@pytest.fixture
async def admin_dsn(request: pytest.FixtureRequest, service_urls: list[str]) -> str:
    """Raw SQL at the database of the shared service, as its administrator."""
    dsn = os.environ.get("THREADKEEP_TEST_ADMIN_DSN")
    if dsn is None and "THREADKEEP_TEST_BASE_URL" in os.environ:
        resources.missing("admin_dsn", "THREADKEEP_TEST_ADMIN_DSN is not set")
    if dsn is None:
        shared: Database = request.getfixturevalue("shared_database")
        dsn = shared.superuser_url
    async with connected(dsn) as connection:
        note_version("PostgreSQL", await connection.fetchval("SHOW server_version"))
    return dsn


@pytest.fixture
def clock(admin_dsn: str) -> Clock:
    """Lets rows grow older."""
    return Clock(admin_dsn)


@pytest.fixture
async def set_stage(request: pytest.FixtureRequest, deploy: Deploy) -> AsyncIterator[SetStage]:
    """Makes deployments of the test's own that it may break, each on a database of its own.

    Two processes unless told otherwise; settings as for `deploy`.
    """
    made: list[Database] = []
    async with AsyncExitStack() as stack:

        async def make(**options: Any) -> Stage:
            if "THREADKEEP_TEST_BASE_URL" in os.environ:
                resources.missing("faults", "the service does not run on this machine")
            databases: Databases = request.getfixturevalue("databases")
            made.append(await databases.create())
            deployment = await deploy(made[-1], **options)
            opened = platform(deployment.urls, deployment.platform_key)
            operator = await stack.enter_async_context(opened)
            return Stage(deployment=deployment, database=made[-1], operator=operator)

        yield make
    for database in made:
        await request.getfixturevalue("databases").drop(database.name)


@pytest.fixture
async def stage(set_stage: SetStage) -> Stage:
    """One such deployment."""
    return await set_stage()


@pytest.fixture
async def small_pool(operator: Platform, set_stage: SetStage) -> Platform:
    """A service with as few connections as it can have; a remote one as it is."""
    if "THREADKEEP_TEST_BASE_URL" in os.environ:
        return operator
    return (await set_stage(THREADKEEP_DATABASE_CONNECTIONS="4")).operator
