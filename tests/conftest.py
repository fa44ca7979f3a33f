"""What tests run against.

They ask for `database`, `redis_url` or `service_urls`, never for a program; each comes from the
variable named here, else from a program started on this machine.

THREADKEEP_TEST_DATABASE_URL  a superuser's URL of PostgreSQL 17 or 18
THREADKEEP_TEST_REDIS_URL     Redis
THREADKEEP_TEST_BASE_URL      the service; several addresses are separated by commas
THREADKEEP_TEST_PLATFORM_KEY  its platform key
THREADKEEP_TEST_ADMIN_DSN     a superuser's URL of the service's database
THREADKEEP_TEST_PLATFORM_KEY_FILE, THREADKEEP_TEST_ADMIN_DSN_FILE  files that hold these two
THREADKEEP_TEST_DATABASE_CONNECTIONS  how many each of its processes may have; 12 where not set
THREADKEEP_TEST_CONTEXT       a cluster, as kubectl calls it (tests/cluster/ladder.py)
THREADKEEP_TEST_RELEASE       the release in this pod's namespace whose pods may be harmed
THREADKEEP_TEST_RUN           the Job this is; its results go into a ConfigMap of that name
THREADKEEP_TEST_RUN_UID       its unique id
THREADKEEP_TEST_PROFILE       how much the scenarios do
THREADKEEP_TEST_REQUIRE       what must be there instead of being skipped; with CI=true: everything
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from threadkeep.embedded.failures import EmbeddedServerError
from threadkeep.embedded.postgres import PostgresServer

from .support import resources
from .support.pgbouncer import PgBouncer
from .support.postgres import APP, Database, Databases, copy_directory, local_server, run_now
from .support.redis import RedisServer
from .support.service import Deployment, ServiceProcess
from .support.sides import is_side

pytest_plugins = [
    "tests.support.beside",
    "tests.support.reporting",
    "tests.scenarios.reporting.plugin",
    "tests.scenarios.reporting.job",
]

_MADE_TEMPLATE = "threadkeep_template"

Deploy = Callable[..., Awaitable[Deployment]]

for _secret in ("THREADKEEP_TEST_PLATFORM_KEY", "THREADKEEP_TEST_ADMIN_DSN"):
    if _path := os.environ.get(f"{_secret}_FILE"):
        os.environ[_secret] = Path(_path).read_text("utf-8").strip()


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Shows at once what takes minutes."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(text, file=sys.stderr if is_side(pytestconfig) else sys.stdout, flush=True)

    return say


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A private folder whose path leaves room for the names of Unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix="tk-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url(short_folder: Path) -> Iterator[str]:
    """A superuser's URL of the server that most tests share; it does not survive a crash."""
    if url := os.environ.get("THREADKEEP_TEST_DATABASE_URL"):
        yield url
        return
    server = local_server(short_folder)
    start_postgres(server)
    yield server.url("postgres")
    server.stop()


@pytest.fixture(scope="session")
def databases(postgres_url: str) -> Iterator[Databases]:
    """The migrated template on the shared server."""
    is_given = "THREADKEEP_TEST_DATABASE_URL" in os.environ
    databases = Databases(postgres_url, is_crash_safe=is_given)
    databases.prepare()
    yield databases
    databases.remove()


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    """A migrated database for this test alone."""
    database = await databases.create()
    yield database
    await databases.drop(database.name)


@pytest.fixture(scope="session")
def made_directory(short_folder: Path) -> Path:
    """A data directory with a migrated template, to be copied instead of made again."""
    folder = short_folder / "made"
    server = local_server(folder, is_crash_safe=True)
    start_postgres(server)
    Databases(server.url("postgres"), is_crash_safe=True, template=_MADE_TEMPLATE).prepare()
    server.stop()
    return folder / "postgres"


@pytest.fixture
def crash_server(made_directory: Path, tmp_path: Path) -> Iterator[PostgresServer]:
    """A started server for this test alone that keeps its promises when it is killed."""
    copy_directory(made_directory, tmp_path / "postgres")
    server = local_server(tmp_path, is_crash_safe=True)
    start_postgres(server)
    yield server
    server.stop()


@pytest.fixture
def crash_database(crash_server: PostgresServer) -> Database:
    """A migrated database on `crash_server`; gone with it."""
    url = crash_server.url("postgres")
    return run_now(Databases(url, is_crash_safe=True, template=_MADE_TEMPLATE).create())


@pytest.fixture(scope="session")
def pgbouncer(short_folder: Path, postgres_url: str, databases: Databases) -> Iterator[PgBouncer]:
    """A pool in transaction mode before the shared server."""
    program = resources.program("pgbouncer", "pgbouncer", package="pgbouncer")
    folder = short_folder / "pool"
    folder.mkdir()
    pool = PgBouncer(program, folder, postgres_url, {APP: databases.password(APP)})
    pool.start()
    yield pool
    pool.stop()


@pytest.fixture
def pgbouncer_url(pgbouncer: PgBouncer, database: Database) -> str:
    """The test's database as the service's role, through the pool."""
    return pgbouncer.url(database.name, APP)


@pytest.fixture(scope="session")
def redis_url(short_folder: Path) -> Iterator[str]:
    """The Redis that most tests share."""
    if url := os.environ.get("THREADKEEP_TEST_REDIS_URL"):
        yield url
        return
    folder = short_folder / "redis"
    folder.mkdir()
    server = RedisServer(_redis_program(), folder)
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def redis_server(short_folder: Path) -> Iterator[RedisServer]:
    """A started Redis for this test alone, to be killed or paused."""
    folder = Path(tempfile.mkdtemp(prefix="redis-", dir=short_folder))
    server = RedisServer(_redis_program(), folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def platform_key() -> str:
    """The key of the shared service for `/v1/tenants`."""
    return os.environ.get("THREADKEEP_TEST_PLATFORM_KEY") or secrets.token_urlsafe(24)


@pytest.fixture(scope="session")
def shared_database(databases: Databases) -> Iterator[Database]:
    """The database of the service processes that many tests share."""
    database = run_now(databases.create())
    yield database
    run_now(databases.drop(database.name))


@pytest.fixture(scope="session")
def service_urls(request: pytest.FixtureRequest, platform_key: str) -> Iterator[list[str]]:
    """Addresses of at least two service processes over one database, shared by many tests."""
    if given := os.environ.get("THREADKEEP_TEST_BASE_URL"):
        if "THREADKEEP_TEST_PLATFORM_KEY" not in os.environ:
            resources.missing("service", "THREADKEEP_TEST_PLATFORM_KEY is not set")
        urls = [url.strip().rstrip("/") for url in given.split(",")]
        # One address before several processes is reached twice.
        yield urls if len(urls) > 1 else urls * 2
        return
    database: Database = request.getfixturevalue("shared_database")
    folder: Path = request.getfixturevalue("short_folder")
    settings = database.service_environment() | {"THREADKEEP_PLATFORM_KEY": platform_key}
    shared = Deployment(
        [ServiceProcess(f"shared-{number}", folder, settings) for number in (1, 2)], platform_key
    )
    try:
        shared.start_now()
        yield shared.urls
    finally:
        shared.stop_now()


@pytest.fixture
def service_url(service_urls: list[str]) -> str:
    """The address of one service process."""
    return service_urls[0]


@pytest.fixture
async def deploy(tmp_path: Path) -> AsyncIterator[Deploy]:
    """Starts service processes of this test's own, to be killed, paused or set otherwise.

    `await deploy(database, processes=2, options=("--workers", "2"), THREADKEEP_WAKEUPS="redis")`
    """
    started: list[Deployment] = []

    async def start(
        database: Database, *, processes: int = 2, options: tuple[str, ...] = (), **settings: str
    ) -> Deployment:
        key = secrets.token_urlsafe(24)
        settings = database.service_environment() | {"THREADKEEP_PLATFORM_KEY": key} | settings
        first = 1 + sum(len(each.processes) for each in started)
        deployment = Deployment(
            [
                ServiceProcess(f"service-{number}", tmp_path, settings, options)
                for number in range(first, first + processes)
            ],
            key,
        )
        started.append(deployment)
        await deployment.start()
        return deployment

    yield start
    for deployment in started:
        await deployment.stop()


@pytest.fixture(scope="session")
def chromium() -> tuple[str, str]:
    """The paths of Chromium and of its WebDriver."""
    return (
        resources.program("chromium", "chromium", package="chromium"),
        resources.program("chromium", "chromedriver", package="chromium-driver"),
    )


def start_postgres(server: PostgresServer) -> None:
    """Start a local server, or say what is missing."""
    try:
        server.start()
    except EmbeddedServerError as exc:
        resources.missing("postgres", str(exc))


def _redis_program() -> str:
    return resources.program("redis", "redis-server", package="redis-server")
