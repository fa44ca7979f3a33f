"""What only somebody outside a cluster can do to a release, and what its clients see of it.

The ledger, the prober and the figures are those of the scenarios, and so is the report.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from kubernetes import client

from ..chart import chart
from ..chart.chart import CHART
from ..scenarios.continuity.outages import endure
from ..scenarios.continuity.test_service_restarts import APPENDS, record
from ..scenarios.figures import Figures
from ..scenarios.held import held_sockets
from ..scenarios.prober import Prober, probing
from ..scenarios.reporting.plugin import FIGURES
from ..scenarios.stage import Stage
from ..scenarios.traffic import traffic
from ..support.postgres import run_now
from ..support.waiting import until
from .access import Cluster
from .local import faults
from .local.nodes import NODES
from .namespaces import Namespace, Pod
from .outside import staged
from .releases import FULL_NAME, NAME, Release

pytestmark = pytest.mark.timeout(900)

OUTAGE_SECONDS: Final = 180.0
SOCKETS: Final = 40
_SECONDS: Final = 300.0
_SERVICE: Final = "app.kubernetes.io/component=service"
_HOST, _OTHER = (each.name for each in NODES)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """Where measured figures go."""
    figures = Figures()
    request.node.stash[FIGURES] = figures
    return figures


@pytest.fixture(scope="module")
def release(
    cluster: Cluster, product_images: dict[str, str], say: Callable[[str], None]
) -> Iterator[Release]:
    """Two pods of the service, one on each node; the database where no test ends a node."""
    namespace = Namespace(cluster.api, f"test-continuity-{secrets.token_hex(3)}")
    namespace.create()
    release = Release(chart.find(4, say), cluster, namespace, product_images)
    name = "database.bundled.nodeSelector.kubernetes\\.io/hostname"
    values = [*release.values("threadkeep"), "--set", f"{name}={_HOST}"]
    run_now(release.run("install", NAME, str(CHART), "--wait", "--timeout=300s", *values))
    yield release
    namespace.remove()


@pytest.fixture
async def stage(release: Release) -> AsyncIterator[Stage]:
    """The release when it is whole, with its two pods apart."""
    await spread(release)
    async with staged(release) as stage:
        yield stage


@pytest.mark.scenario("continuity", "database outage")
async def test_the_databases_pod_is_deleted(stage: Stage, figures: Figures) -> None:
    await endure("killed", stage, 0, figures)


@pytest.mark.scenario("continuity", "database outage")
async def test_the_databases_network_is_blocked(
    local_cluster: Cluster, stage: Stage, figures: Figures
) -> None:
    await endure("blocked", stage, OUTAGE_SECONDS, figures)


@pytest.mark.part("continuity", "planned maintenance")
async def test_a_rolling_update_is_noticed_by_nobody(
    release: Release, stage: Stage, figures: Figures
) -> None:
    """All pods are replaced, as a new image would do it."""
    before = {pod.name for pod in release.namespace.pods(_SERVICE)}

    async with disturbed("rolling update", stage, figures) as prober:
        restart(release)
        prober.mark("begins")
        await until(lambda: replaced(release, before), _SECONDS, what="new pods alone")
        prober.mark("is over")


@pytest.mark.part("continuity", "planned maintenance")
async def test_a_node_is_drained(release: Release, stage: Stage, figures: Figures) -> None:
    nodes = release.cluster.nodes

    async with disturbed("drain of a node", stage, figures) as prober:
        nodes.cordon(_OTHER)
        try:
            prober.mark("begins")
            for pod in on(release, _OTHER):
                release.namespace.evict(pod.name)
            await until(lambda: len(on(release, _HOST)) == 2, _SECONDS, what="all pods elsewhere")
            await until(lambda: not on(release, _OTHER), _SECONDS, what="an empty node")
            prober.mark("is over")
        finally:
            nodes.uncordon(_OTHER)


@pytest.mark.part("continuity", "planned maintenance")
async def test_a_pod_is_killed(stage: Stage, figures: Figures) -> None:
    async with disturbed("kill of a pod", stage, figures) as prober:
        prober.mark("is killed")
        await stage.faults.kill(0)
        await stage.faults.start(0)
        prober.mark("is replaced")


@pytest.mark.part("continuity", "planned maintenance")
async def test_a_node_is_cut_off(
    local_cluster: Cluster, release: Release, stage: Stage, figures: Figures
) -> None:
    """Its pods are alone with it; those of the other node go on.

    A socket to it may outlive that: to TCP it is a line on which much is lost.
    """
    async with disturbed("a node cut off", stage, figures, breaks_sockets=False) as prober:
        faults.cut_off(_OTHER)
        prober.mark("is cut off")
        await until(lambda: not local_cluster.nodes.is_ready(_OTHER), _SECONDS)
        prober.mark("is given up")
        faults.reconnect(_OTHER)
        await until(lambda: local_cluster.nodes.is_ready(_OTHER), _SECONDS)
        prober.mark("is back")


@asynccontextmanager
async def disturbed(
    name: str, stage: Stage, figures: Figures, *, breaks_sockets: bool = True
) -> AsyncIterator[Prober]:
    """Clients of all kinds before, while and after something happens; judged at the end."""
    tenant = await stage.operator.tenant()
    ann = [tenant.user("ann", at=at) for at in range(len(stage.urls))]
    async with (
        probing(ann) as prober,
        traffic(ann, threads=2) as going,
        held_sockets(ann, going.threads[0], SOCKETS) as held,
    ):
        await going.grow(APPENDS)
        yield prober
        await going.grow(APPENDS, _SECONDS)
    await going.compare()
    broken = [seconds for each in held for seconds in each.breaks]
    assert broken or not breaks_sockets, "no socket noticed anything"
    record(name, prober, going, broken, figures)


def restart(release: Release) -> None:
    """What `kubectl rollout restart` does."""
    annotation = {"threadkeep.dev/restarted": secrets.token_hex(4)}
    template = {"metadata": {"annotations": annotation}}
    client.AppsV1Api(release.cluster.api).patch_namespaced_deployment(
        FULL_NAME, release.namespace.name, {"spec": {"template": template}}
    )


def replaced(release: Release, before: set[str]) -> bool:
    """Whether there are two ready pods, and none of those that were there before."""
    pods = release.namespace.pods(_SERVICE)
    names = {pod.name for pod in pods}
    return len(pods) == 2 and not names & before and all(pod.is_ready for pod in pods)


def on(release: Release, node: str) -> list[Pod]:
    """The service's pods of a node."""
    return [pod for pod in release.namespace.pods(_SERVICE) if pod.node == node]


async def spread(release: Release) -> None:
    """Each node has one ready pod; where they are together, one is deleted until they are not."""

    async def is_spread() -> bool:
        pods = await release.namespace.until_ready(_SERVICE, 2, _SECONDS)
        if {pod.node for pod in pods} == {_HOST, _OTHER}:
            return True
        release.namespace.core.delete_namespaced_pod(pods[0].name, release.namespace.name)
        await until(lambda: release.namespace.pod(pods[0].name) is None, _SECONDS)
        return False

    await until(is_spread, _SECONDS, what="a pod on each node")
