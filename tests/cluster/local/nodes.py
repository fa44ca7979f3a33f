"""The two nodes and their addresses.

The first is this machine; the others are network namespaces on it. All addresses are of the
benchmarking range 198.18.0.0/15, which is on nobody's network.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import places

NODE_NETWORK = "198.18.0.0/24"
CLUSTER_NETWORK = "198.18.0.0/16"
"""Nodes and pods."""
SERVICE_NETWORK = "198.19.0.0/24"
API_SERVICE = "198.19.0.1"
"""Kubernetes gives the first address of the service network to its own API."""
GATEWAY = "198.18.0.1"
"""The first node: API server, DNS and the way between the nodes."""
BRIDGE = places.NAME
"""Interface that all nodes are plugged into."""


@dataclass(frozen=True)
class Node:
    """One node; everything about it follows from its number."""

    number: int

    @property
    def name(self) -> str:
        """As Kubernetes calls it."""
        return f"{places.NAME}-{self.number}"

    @property
    def address(self) -> str:
        """Of the kubelet."""
        return f"198.18.0.{self.number}"

    @property
    def pods(self) -> str:
        """The network of its pods."""
        return f"198.18.{self.number}.0/24"

    @property
    def is_host(self) -> bool:
        """Whether it lives in this machine's own network namespace."""
        return self.number == 1

    @property
    def link(self) -> str:
        """The interface on the host that is its cable; not for the host itself."""
        return self.name

    @property
    def namespace(self) -> Path:
        """Its network namespace; not for the host itself."""
        return Path("/run/netns") / self.name

    @property
    def folder(self) -> Path:
        """What it keeps."""
        return places.STATE / "nodes" / self.name

    @property
    def run(self) -> Path:
        """Its sockets and mounts."""
        return places.RUN / self.name

    @property
    def containerd(self) -> Path:
        """The socket of its container runtime."""
        return self.run / "containerd.sock"

    @property
    def cgroup(self) -> str:
        """Parent of the control groups of its pods."""
        return f"/{self.name}"

    def inside(self, *command: str) -> tuple[str, ...]:
        """The command, run in its network."""
        if self.is_host:
            return command
        # Not `ip netns exec`: it mounts a new /sys, which hides the control groups.
        return ("nsenter", f"--net={self.namespace}", *command)


NODES = (Node(1), Node(2))


def node(name: str) -> Node:
    """The node of this name."""
    return next(each for each in NODES if each.name == name)
