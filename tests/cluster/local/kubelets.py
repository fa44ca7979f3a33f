"""What makes a node of a network namespace: a kubelet, and kube-proxy for the services."""

from __future__ import annotations

import json
from pathlib import Path

from . import cgroups, containerd, places
from .commands import PATH
from .components import Component, answers
from .control_plane import Identities
from .nodes import CLUSTER_NETWORK, GATEWAY, Node

_PROXY_HEALTH = 10256


def components(node: Node, identities: Identities) -> list[Component]:
    """In the order in which they can start."""
    return [containerd.component(node), _kubelet(node, identities), _proxy(node, identities)]


def _kubelet(node: Node, identities: Identities) -> Component:
    cgroups.create(node)
    config = node.folder / "kubelet.json"
    config.write_text(json.dumps(_configuration(node, identities), indent=2), "utf-8")
    kubeconfig = identities.kubeconfig(f"system:node:{node.name}", group="system:nodes")
    command = (
        str(places.BUILT / "kubelet"),
        f"--config={config}",
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
        f"--root-dir={node.folder / 'kubelet'}",
        f"--node-labels=topology.kubernetes.io/zone={node.name}",
    )
    return Component(
        f"kubelet-{node.number}",
        node.inside(*command),
        lambda: identities.api.is_node_ready(node.name),
        environment={"PATH": PATH},
    )


def _configuration(node: Node, identities: Identities) -> dict[str, object]:
    serving = identities.authority.issue(
        f"kubelet-{node.number}", subject=node.name, names=(node.name, node.address)
    )
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "healthzBindAddress": node.address,
        "containerRuntimeEndpoint": f"unix://{node.containerd}",
        "podLogsDir": str(pod_logs(node)),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(identities.authority.pair.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "clusterDomain": "cluster.local",
        "clusterDNS": [GATEWAY],
        "resolvConf": str(_resolver(node)),
        "cgroupRoot": node.cgroup,
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": False,
        # The disk is the machine's; what fills it is seldom the cluster.
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
        # An image that was removed could not be had again: there is no registry.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "nodeStatusUpdateFrequency": "4s",
        "nodeLeaseDurationSeconds": 20,
    }


def pod_logs(node: Node) -> Path:
    """The folder of the pods' logs."""
    return node.folder / "pod-logs"


def _resolver(node: Node) -> Path:
    # Not the machine's: its search list would make every name of the cluster a question to nobody.
    path = node.folder / "resolv.conf"
    path.write_text(f"nameserver {GATEWAY}\n", "ascii")
    return path


def _proxy(node: Node, identities: Identities) -> Component:
    kubeconfig = identities.folder / "kube-proxy.kubeconfig"
    if not kubeconfig.exists():
        identities.kubeconfig("system:kube-proxy")
    command = (
        str(places.BUILT / "kube-proxy"),
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={node.name}",
        "--proxy-mode=nftables",
        f"--cluster-cidr={CLUSTER_NETWORK}",
        f"--healthz-bind-address={node.address}:{_PROXY_HEALTH}",
        f"--metrics-bind-address={node.address}:10249",
        # These belong to the machine, not to the cluster.
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
    )
    return Component(
        f"kube-proxy-{node.number}",
        node.inside(*command),
        lambda: answers(node.address, _PROXY_HEALTH, "/healthz"),
        environment={"PATH": PATH},
    )
