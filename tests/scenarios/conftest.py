"""Fixtures of the scenarios; `tests/scenarios/__init__.py` says how to use them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from threadkeep.embedded.postgres import PostgresServer

from ..conftest import Deploy
from ..support import resources
from ..support.postgres import Database, run_now
from ..support.waiting import until
from . import cleaning
from .callers import Platform, Tenant, platform
from .database import Clock, connected
from .figures import Figures
from .fleet import Fleet
from .levels import CONTROL, PROFILES, Levels, profile_of
from .pods import PORT, SERVICE, Pods, release_under_test
from .reporting.plugin import FIGURES
from .reporting.surroundings import note_version
from .stage import LocalFaults, Stage
from .stage_in_cluster import ClusterFaults

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


@pytest.fixture(scope="session", autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Remove this run's tenants from a service that stays; a sabotaged one does not."""
    if "THREADKEEP_TEST_BASE_URL" not in os.environ or profile_of(request.config) == CONTROL:
        yield
        return
    urls: list[str] = request.getfixturevalue("service_urls")
    key: str = request.getfixturevalue("platform_key")
    yield
    if Platform.made:
        dsn = os.environ.get("THREADKEEP_TEST_ADMIN_DSN")
        run_now(cleaning.clean(urls, key, dsn, Platform.made))


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


@pytest.fixture(scope="session")
def pods() -> Pods | None:
    """Those of the release, where this is a pod beside them."""
    release = release_under_test()
    return Pods.beside(release) if release else None


@pytest.fixture
async def fleet(service_urls: list[str], pods: Pods | None) -> Fleet:
    """The processes of the shared service one by one."""
    return await fleet_of(pods) if pods else Fleet(list(dict.fromkeys(service_urls)))


@pytest.fixture
def clock(admin_dsn: str) -> Clock:
    """Lets rows grow older."""
    return Clock(admin_dsn)


@pytest.fixture
async def set_stage(
    request: pytest.FixtureRequest, deploy: Deploy, pods: Pods | None
) -> AsyncIterator[SetStage]:
    """Makes deployments of the test's own that it may break, each on a database of its own.

    Two processes unless told otherwise; settings as for `deploy`. `is_durable` gives it a database
    server of its own, which syncs its commits and may be broken, too. In a cluster it is the
    release as it is, with settings that nobody can choose.
    """
    made: list[Database] = []
    async with AsyncExitStack() as stack:

        async def make(*, is_durable: bool = False, **options: Any) -> Stage:
            if pods is not None and not options:
                return await release_stage(request, pods, stack)
            if "THREADKEEP_TEST_BASE_URL" in os.environ:
                resources.missing("faults", "the service does not run on this machine")
            server: PostgresServer | None = None
            if is_durable:
                server = request.getfixturevalue("crash_server")
                database: Database = request.getfixturevalue("crash_database")
            else:
                made.append(await request.getfixturevalue("databases").create())
                database = made[-1]
            deployment = await deploy(database, **options)
            opened = platform(deployment.urls, deployment.platform_key)
            return Stage(
                urls=deployment.urls,
                admin_dsn=database.superuser_url,
                operator=await stack.enter_async_context(opened),
                fleet=Fleet(deployment.urls),
                faults=LocalFaults(deployment, server),
            )

        yield make
    for database in made:
        await request.getfixturevalue("databases").drop(database.name)


async def release_stage(request: pytest.FixtureRequest, pods: Pods, stack: AsyncExitStack) -> Stage:
    """The release that is tested, once it is whole."""
    urls: list[str] = request.getfixturevalue("service_urls")
    opened = platform(urls, request.getfixturevalue("platform_key"))
    fleet = await fleet_of(pods)
    return Stage(
        urls=urls,
        admin_dsn=os.environ.get("THREADKEEP_TEST_ADMIN_DSN", ""),
        operator=await stack.enter_async_context(opened),
        fleet=fleet,
        faults=ClusterFaults(pods, await pods.ready(SERVICE)),
    )


async def fleet_of(pods: Pods) -> Fleet:
    """Each pod of the service by its own address, once all of them serve."""
    addresses: list[str] = []

    async def all_serve() -> bool:
        found = [pod for pod in await pods.all(SERVICE) if not pod.is_leaving]
        addresses[:] = [pod.address for pod in found if pod.is_ready]
        return len(found) == len(addresses) > 0

    await until(all_serve, 180, what="all pods of the service")
    return Fleet([f"http://[{a}]:{PORT}" if ":" in a else f"http://{a}:{PORT}" for a in addresses])


@pytest.fixture
async def durable_stage(set_stage: SetStage) -> Stage:
    """A deployment whose database server may be broken, too."""
    return await set_stage(is_durable=True)


@pytest.fixture
async def stage(set_stage: SetStage) -> Stage:
    """One such deployment."""
    return await set_stage()


@pytest.fixture
async def small_pool(operator: Platform, set_stage: SetStage) -> Platform:
    """A service with as few connections as it can have; a remote one as it is."""
    if "THREADKEEP_TEST_BASE_URL" in os.environ:
        return operator
    return (await set_stage(THREADKEEP_DATABASE_CONNECTIONS="5")).operator
