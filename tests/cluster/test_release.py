"""The life of one release: install, upgrade and rollback under load, uninstall, install again.

Each step ends with the same ledger: what clients were told since the first install. The tests run
in their order, over one release; Helm 3 has a shorter life of its own at the end.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from ..chart import chart
from ..scenarios.callers import Caller, Tenant, platform
from ..scenarios.figures import Figures
from ..scenarios.persistence.ledger import Ledger
from ..scenarios.reporting.plugin import FIGURES
from ..support.waiting import until
from .access import Cluster
from .load import SOCKETS, Load, compare, running
from .namespaces import Namespace
from .releases import FULL_NAME, Release

pytestmark = pytest.mark.timeout(900)

Say = Callable[[str], None]

THREADS = 6
BEFORE = 100
"""Appends before and after the change that is made under load."""
CRASHES = 8
"""At most, until one of them meets a request."""
POSTGRES = f"{FULL_NAME}-postgres-0"
REVISION = ("psql", "-XAtc", "SELECT version_num FROM alembic_version", "threadkeep")


@dataclass
class Life:
    """One release, and what its clients remember."""

    release: Release
    ledger: Ledger = field(default_factory=Ledger)
    threads: list[str] = field(default_factory=list)
    tenant: tuple[str, str] = ("", "")
    """(id, key)"""
    loads: int = 0

    async def begin(self) -> str:
        """Install, unless that has been done; what Helm wrote."""
        if self.threads:
            return ""
        told = await self.release.install()
        key = self.release.secret("platform")["platform-key"]
        async with platform(self.release.urls(), key) as operator:
            tenant = await operator.tenant()
            self.tenant = (tenant.id, tenant.key)
            ann = tenant.user("ann")
            self.threads = [(await ann.create())["id"] for _ in range(THREADS)]
        return told

    @asynccontextmanager
    async def clients(self) -> AsyncIterator[tuple[Tenant, list[Caller]]]:
        """One user, by way of every node."""
        urls = self.release.urls()
        async with platform(urls, "") as operator:
            tenant = Tenant(*self.tenant, urls, operator.caller._client)
            yield tenant, [tenant.user("ann", at=n) for n in range(len(urls))]

    @asynccontextmanager
    async def load(self) -> AsyncIterator[Load]:
        """Clients at work while the release is changed; afterwards the ledger is compared."""
        self.loads += 1
        async with self.clients() as (tenant, callers):
            load = Load(callers, self.threads, tenant, self.ledger, f"load{self.loads}")
            async with running(load):
                await load.grown(BEFORE)
                yield load
                await load.grown(BEFORE)
            await compare(callers, self.threads, self.ledger)

    async def compare(self) -> int:
        """The log against the ledger, by way of every node; how many entries."""
        async with self.clients() as (_, callers):
            return await compare(callers, self.threads, self.ledger)

    async def revision(self) -> str:
        """Of the schema."""
        return (await self.release.namespace.execute(POSTGRES, *REVISION)).strip()


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """Where measured figures go."""
    figures = Figures()
    request.node.stash[FIGURES] = figures
    return figures


@pytest.fixture(scope="module")
def life(cluster: Cluster, product_images: dict[str, str], say: Say) -> Iterator[Life]:
    """The release of Helm 4."""
    yield from _life(cluster, product_images, chart.find(4, say))


@pytest.fixture
def life_with_helm_3(cluster: Cluster, product_images: dict[str, str], say: Say) -> Iterator[Life]:
    """One of Helm 3."""
    yield from _life(cluster, product_images, chart.find(3, say))


def _life(cluster: Cluster, images: dict[str, str], helm: chart.Helm) -> Iterator[Life]:
    namespace = Namespace(cluster.api, f"test-release-{secrets.token_hex(3)}")
    namespace.create()
    yield Life(Release(helm, cluster, namespace, images))
    namespace.remove()


async def test_an_install_into_an_empty_namespace_ends_with_a_service_that_works(
    life: Life,
) -> None:
    told = await life.begin()

    assert "helm test tk" in told
    await life.release.runs_only("threadkeep")
    async with life.load() as load:
        assert load.appends


async def test_helm_test_appends_and_reads(life: Life) -> None:
    await life.begin()

    assert "read over HTTP and over a socket: fine" in await life.release.test()


async def test_an_upgrade_under_load_fails_no_append_and_loses_no_reader(
    life: Life, figures: Figures
) -> None:
    """To a release with another migration, while clients write and read through both nodes."""
    await life.begin()
    before, database = life.release.pods(), await life.revision()

    async with life.load() as load:
        await life.release.upgrade("threadkeep-next")
        await life.release.runs_only("threadkeep-next")

    assert await life.revision() > database
    assert life.release.pods()[POSTGRES] == before[POSTGRES], "PostgreSQL was restarted"
    _judge(load, figures)


async def test_a_rollback_under_load_does_not_either(life: Life, figures: Figures) -> None:
    """The schema stays; the version before works with it."""
    await life.begin()
    if life.release.service != "threadkeep-next":
        await life.release.upgrade("threadkeep-next")
    database = await life.revision()

    async with life.load() as load:
        await life.release.rollback()
        await life.release.runs_only("threadkeep")

    assert await life.revision() == database
    _judge(load, figures)


async def test_what_a_crash_costs_is_counted(life: Life, figures: Figures) -> None:
    """The same clients meet failures where a pod does not drain: an update's zero is measured."""
    await life.begin()

    async with life.load() as load:
        for number in range(CRASHES):
            if not load.failed_attempts:
                await life.release.crash_a_pod(number)  # in turn: restarts are delayed ever longer
                await load.grown(BEFORE)

    assert load.failed_attempts > 0
    assert load.ledger.unknown == set()
    figures.record("failed attempts", load.failed_attempts, n=load.appends)
    figures.latencies("reconnect", load.reconnects)
    print(*(each.text() for each in figures.all), load.ledger.failures, sep="\n")


def _judge(load: Load, figures: Figures) -> None:
    """Everything was acknowledged in the end, and every socket was cut and came back."""
    assert load.ledger.unknown == set()
    assert len(load.reconnects) >= SOCKETS
    assert load.appends >= 2 * BEFORE
    figures.record("appends", load.appends, n=load.appends)
    figures.record("appends that failed", 0, n=load.appends)
    figures.record("appends whose first attempt failed", load.repeated, n=load.appends)
    figures.record("failed attempts", load.failed_attempts, n=load.appends)
    figures.latencies("reconnect", load.reconnects)
    print(*(each.text() for each in figures.all), load.ledger.failures, sep="\n")


async def test_an_install_over_the_kept_volume_has_everything(life: Life) -> None:
    """The data, the passwords, and cursors that go on where they were."""
    await life.begin()
    kept = {name: life.release.secret(name) for name in ("database", "platform")}
    entries = await life.compare()

    await life.release.uninstall()
    await until(lambda: not life.release.pods(), 120, what="pods that are left")

    assert life.release.names("persistent_volume_claim") == {f"data-{POSTGRES}"}
    assert life.release.names("service") == set()
    assert {f"{FULL_NAME}-database", f"{FULL_NAME}-platform"} <= life.release.names("secret")

    await life.release.install()

    assert {name: life.release.secret(name) for name in kept} == kept
    assert await life.compare() == entries > BEFORE
    async with life.load():
        pass


async def test_a_lost_password_is_replaced(life: Life) -> None:
    """Whoever lost the Secret but has the volume gets in again, with other passwords."""
    await life.begin()
    lost = life.release.secret("database")
    await life.release.uninstall()
    await until(lambda: not life.release.pods(), 120, what="pods that are left")
    life.release.namespace.core.delete_namespaced_secret(
        f"{FULL_NAME}-database", life.release.namespace.name
    )

    await life.release.install()

    found = life.release.secret("database")
    assert found["postgres-password"] != lost["postgres-password"]
    assert found["app-password"] != lost["app-password"]
    await life.compare()


async def test_helm_3_installs_and_upgrades(life_with_helm_3: Life) -> None:
    life = life_with_helm_3
    await life.begin()
    database = await life.revision()

    await life.release.upgrade("threadkeep-next")

    await life.release.runs_only("threadkeep-next")
    assert await life.revision() > database
    async with life.load():
        pass
