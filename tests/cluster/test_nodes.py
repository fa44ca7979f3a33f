"""Nodes that fail from outside, as machines and cables do."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ..support.waiting import until
from . import manifests
from .access import Cluster
from .local import faults
from .local.nodes import NODES
from .namespaces import Namespace, Pod

_SECONDS = 120.0
_HOST, _OTHER = (each.name for each in NODES)


@pytest.fixture
async def pods(local_cluster: Cluster, namespace: Namespace) -> AsyncIterator[dict[str, Pod]]:
    """One pod of a small server on each node, by the node's name."""
    namespace.apply(manifests.deployment("web", replicas=2), manifests.service("web"))
    found = await namespace.until_ready("app=web", 2)
    yield {each.node: each for each in found}
    faults.heal()
    await until(lambda: local_cluster.nodes.is_ready(_OTHER), _SECONDS)
    await until(lambda: not local_cluster.nodes.has_taints(_OTHER), _SECONDS)


async def test_a_node_that_is_cut_off_is_noticed_and_comes_back(
    local_cluster: Cluster, namespace: Namespace, pods: dict[str, Pod]
) -> None:
    faults.cut_off(_OTHER)

    await until(lambda: not local_cluster.nodes.is_ready(_OTHER), _SECONDS)
    answer = await _fetch(namespace, pods[_HOST], pods[_OTHER])
    assert answer != pods[_OTHER].name

    faults.reconnect(_OTHER)

    await until(lambda: local_cluster.nodes.is_ready(_OTHER), _SECONDS)
    back = await namespace.until_ready("app=web", 2)
    assert {each.name for each in back} == {each.name for each in pods.values()}
    await _reach(namespace, pods[_HOST], pods[_OTHER])


async def test_a_node_without_power_loses_its_pods_and_runs_them_again(
    local_cluster: Cluster, namespace: Namespace, pods: dict[str, Pod]
) -> None:
    faults.power_off(_OTHER)

    await until(lambda: not local_cluster.nodes.is_ready(_OTHER), _SECONDS)
    assert await _fetch(namespace, pods[_HOST], pods[_OTHER]) != pods[_OTHER].name

    faults.power_on(_OTHER)

    await until(lambda: local_cluster.nodes.is_ready(_OTHER), _SECONDS)
    back = {each.node: each for each in await namespace.until_ready("app=web", 2)}
    await _reach(namespace, back[_HOST], back[_OTHER])


@pytest.mark.parametrize("node", [_HOST, _OTHER])
async def test_a_blocked_pod_is_alone_until_the_block_ends_by_itself(
    namespace: Namespace, pods: dict[str, Pod], node: str
) -> None:
    blocked = pods[node]
    other = pods[_OTHER if node == _HOST else _HOST]
    await _reach(namespace, other, blocked)

    faults.block(blocked.address, 30.0)

    assert await _fetch(namespace, other, blocked) != blocked.name
    # The kubelet's probes do not get through either.
    await until(lambda: not _is_ready(namespace, blocked), 29.0)
    await until(lambda: _is_ready(namespace, blocked), _SECONDS)
    await _reach(namespace, other, blocked)


async def _reach(namespace: Namespace, client: Pod, server: Pod) -> None:
    """Wait for its answer; it may be held up for longer than a try lasts."""

    async def has_answered() -> bool:
        return await _fetch(namespace, client, server) == server.name

    await until(has_answered, _SECONDS, what=f"an answer of {server.name}")


async def _fetch(namespace: Namespace, client: Pod, server: Pod) -> str:
    answer = await namespace.execute(client.name, "/fetch", f"http://{server.address}:8080/")
    return answer.strip()


def _is_ready(namespace: Namespace, pod: Pod) -> bool:
    now = namespace.pod(pod.name)
    return now is not None and now.is_ready
