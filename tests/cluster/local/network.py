"""The cable between the nodes, and how pods are plugged in.

A bridge carries the first node's address; every other node is a network namespace with a veth pair
into that bridge. Pods are routed, not bridged (the CNI plugin `ptp`, as in kind), so that nothing
depends on the kernel filtering bridged frames.
"""

from __future__ import annotations

import json
from pathlib import Path

from . import places
from .commands import run, succeeds
from .nodes import BRIDGE, GATEWAY, NODES, SERVICE_NETWORK, Node

_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_BEFORE = places.STATE / "ip_forward.before"
_TABLES = (("ip", "kube-proxy"), ("ip6", "kube-proxy"), ("inet", "threadkeep-faults"))


def prepare() -> None:
    """Create the bridge, the namespaces and the routes; nothing of them may exist."""
    _BEFORE.write_text(_FORWARDING.read_text("ascii"), "ascii")
    _FORWARDING.write_text("1", "ascii")
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "add", f"{GATEWAY}/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    # Packets to services need a way out to be rewritten on, even on a machine without any route.
    run("ip", "route", "add", SERVICE_NETWORK, "dev", BRIDGE, "src", GATEWAY)
    for node in NODES:
        if not node.is_host:
            _plug_in(node)


def remove() -> None:
    """Take away what `prepare` made, as far as it is there."""
    for node in NODES:
        if not node.is_host:
            succeeds("ip", "link", "delete", node.link)
            succeeds("ip", "netns", "delete", node.name)
    succeeds("ip", "link", "delete", BRIDGE)
    if _BEFORE.exists():
        # Only after a cluster of ours: the tables of kube-proxy could be another cluster's.
        for family, table in _TABLES:
            succeeds("nft", "delete", "table", family, table)
        _FORWARDING.write_text(_BEFORE.read_text("ascii"), "ascii")
        _BEFORE.unlink()


def leftovers() -> list[str]:
    """Links and namespaces of the cluster that exist now."""
    links = [BRIDGE, *(each.link for each in NODES if not each.is_host)]
    found = [f"link {each}" for each in links if succeeds("ip", "link", "show", each)]
    spaces = [each.namespace for each in NODES if not each.is_host]
    return found + [f"network namespace {each.name}" for each in spaces if each.exists()]


def cni_folder(node: Node) -> Path:
    """Where the node's container runtime looks for its network configuration."""
    return node.folder / "cni"


def write_cni(node: Node) -> None:
    """Describe the network of the node's pods."""
    ranges = [[{"subnet": node.pods, "rangeStart": node.pods.replace(".0/24", ".10")}]]
    ipam = {
        "type": "host-local",
        "ranges": ranges,
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(node.run / "addresses"),
    }
    plugin = {"type": "ptp", "ipMasq": False, "ipam": ipam}
    network = {"cniVersion": "0.4.0", "name": node.name, "plugins": [plugin]}
    folder = cni_folder(node)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "10-threadkeep.conflist").write_text(json.dumps(network), "utf-8")


def _plug_in(node: Node) -> None:
    run("ip", "netns", "add", node.name)
    run("ip", "link", "add", node.link, "type", "veth", "peer", "name", "eth0", "netns", node.name)
    run("ip", "link", "set", node.link, "master", BRIDGE, "up")
    run("ip", "route", "add", node.pods, "via", node.address, "dev", BRIDGE)
    for command in (
        ("ip", "link", "set", "lo", "up"),
        ("ip", "address", "add", f"{node.address}/24", "dev", "eth0"),
        ("ip", "link", "set", "eth0", "up"),
        ("ip", "route", "add", "default", "via", GATEWAY),
        ("sysctl", "-qw", "net.ipv4.ip_forward=1"),
    ):
        run(*node.inside(*command))
