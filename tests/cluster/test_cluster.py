"""What every cluster must give before anything of ours is judged in it."""

from __future__ import annotations

from collections import Counter

import pytest

from ..support.waiting import until
from . import manifests
from .access import Cluster
from .namespaces import Namespace

_SECONDS = 120.0


async def test_a_deployment_rolls_out_over_two_nodes(namespace: Namespace) -> None:
    namespace.apply(manifests.deployment("web", replicas=4))

    pods = await namespace.until_ready("app=web", 4)

    assert sorted(Counter(each.node for each in pods).values()) == [2, 2]


async def test_a_service_reaches_pods_on_every_node_by_its_name(namespace: Namespace) -> None:
    namespace.apply(manifests.deployment("web", replicas=2), manifests.service("web"))
    pods = await namespace.until_ready("app=web", 2)
    client = pods[0].name
    seen = set()

    async def have_all_answered() -> bool:
        seen.add(await namespace.execute(client, "/fetch", f"http://web.{namespace.name}.svc/"))
        return seen >= {f"{each.name}\n" for each in pods}

    await until(have_all_answered, _SECONDS)


async def test_an_unknown_name_is_refused_at_once(namespace: Namespace) -> None:
    namespace.apply(manifests.deployment("web", replicas=1))
    (pod,) = await namespace.until_ready("app=web", 1)

    answer = await namespace.execute(pod.name, "/fetch", "nowhere.example.org")

    assert "no such host" in answer


async def test_a_volume_keeps_what_an_unprivileged_pod_wrote(namespace: Namespace) -> None:
    namespace.apply(
        manifests.claim("data"),
        manifests.pod("writer", "/write", "/data/note", "kept\n", volume="data"),
    )
    await namespace.until_succeeded("writer")

    namespace.apply(manifests.pod("reader", "/read", "/data/note", volume="data"))
    await namespace.until_succeeded("reader")

    assert namespace.log("reader") == "kept\n"


async def test_pods_that_want_privileges_are_refused(namespace: Namespace) -> None:
    privileged = manifests.pod("privileged", "/serve")
    privileged["spec"]["containers"][0]["securityContext"] = {"privileged": True}

    with pytest.raises(Exception, match="violates PodSecurity"):
        namespace.apply(privileged)


async def test_draining_a_node_moves_its_pods(cluster: Cluster, namespace: Namespace) -> None:
    namespace.apply(manifests.deployment("web", replicas=2))
    pods = await namespace.until_ready("app=web", 2)
    drained, other = pods[0].node, pods[1].node
    assert drained != other

    nodes = cluster.nodes
    nodes.cordon(drained)
    try:
        namespace.evict(pods[0].name)
        await until(lambda: namespace.pod(pods[0].name) is None, _SECONDS)
        pods = await namespace.until_ready("app=web", 2)
    finally:
        nodes.uncordon(drained)

    assert {each.node for each in pods} == {other}
