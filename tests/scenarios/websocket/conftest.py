"""All scenarios of sockets run in every way in which events can get from process to process."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from ...support.postgres import APP, Database, Databases, run_now
from ...support.service import Deployment, ServiceProcess
from ..callers import Platform, platform
from ..levels import CONTROL, PROFILES, Levels, profile_of

_GIVEN: Final = "as given"
"""Whatever the service behind THREADKEEP_TEST_BASE_URL uses."""
_USUAL: Final = "postgres"
WAYS: Final = (
    (_GIVEN,)
    if "THREADKEEP_TEST_BASE_URL" in os.environ
    else (_USUAL, "redis", "none", "process", "pgbouncer")
)


@dataclass(frozen=True, kw_only=True)
class Way:
    """A deployment, and how its processes hear of what another one has appended."""

    name: str
    urls: Sequence[str]
    platform_key: str
    admin_dsn: str | None

    @property
    def frame_ms(self) -> float:
        """Within which a frame should reach its socket: without wake-ups by the sweep alone."""
        return 250.0 if self.is_woken else 2000.0

    @property
    def is_woken(self) -> bool:
        """Whether anybody is told that a thread has grown, before the sweep finds it."""
        return self.name != "none"

    @property
    def is_remote(self) -> bool:
        """Whether one address may stand for any number of processes."""
        return self.name == _GIVEN

    @property
    def is_usual(self) -> bool:
        """Whether this is how the service runs unless it is told otherwise."""
        return self.name in {_GIVEN, _USUAL}


@pytest.fixture(scope="session", params=WAYS)
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    """One of them; the usual one is the service that other scenarios share."""
    name: str = request.param
    if name in {_GIVEN, _USUAL}:
        urls: list[str] = request.getfixturevalue("service_urls")
        key: str = request.getfixturevalue("platform_key")
        dsn = os.environ.get("THREADKEEP_TEST_ADMIN_DSN")
        if name == _USUAL:
            shared: Database = request.getfixturevalue("shared_database")
            dsn = shared.superuser_url
        yield Way(name=name, urls=urls, platform_key=key, admin_dsn=dsn)
        return
    databases: Databases = request.getfixturevalue("databases")
    database = run_now(databases.create())
    deployment = _deployment(request, name, database)
    try:
        deployment.start_now()
        urls = deployment.urls if len(deployment.urls) > 1 else deployment.urls * 2
        key = deployment.platform_key
        yield Way(name=name, urls=urls, platform_key=key, admin_dsn=database.superuser_url)
    finally:
        deployment.stop_now()
        run_now(databases.drop(database.name))


def _deployment(request: pytest.FixtureRequest, name: str, database: Database) -> Deployment:
    key = secrets.token_urlsafe(24)
    settings = database.service_environment() | {"THREADKEEP_PLATFORM_KEY": key}
    if name == "pgbouncer":
        pool = request.getfixturevalue("pgbouncer")
        settings |= {
            "THREADKEEP_DATABASE_URL": pool.url(database.name, APP),
            "THREADKEEP_DATABASE_POOLED": "true",
        }
    else:
        settings["THREADKEEP_WAKEUPS"] = name
    if name == "redis":
        settings["THREADKEEP_REDIS_URL"] = request.getfixturevalue("redis_url")
    folder: Path = request.getfixturevalue("short_folder")
    # `process` reaches no other process, so one is all that it is for.
    count = 1 if name == "process" else 2
    processes = [ServiceProcess(f"{name}-{n}", folder, settings) for n in range(1, count + 1)]
    return Deployment(processes, key)


@pytest.fixture
async def operator(way: Way) -> AsyncIterator[Platform]:
    """Whoever runs the service, here each of the deployments in turn."""
    async with platform(way.urls, way.platform_key) as caller:
        yield caller


@pytest.fixture
def levels(request: pytest.FixtureRequest, way: Way) -> Levels:
    """Full amounts in the usual way; in the others enough to see order, gaps and isolation."""
    return PROFILES[profile_of(request.config) if way.is_usual else CONTROL]
