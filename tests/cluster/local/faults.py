"""What can happen to a node or to a pod's network, done from outside.

Everything here is undone by its counterpart, and by the end of the cluster.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from ipaddress import ip_address

from . import leftovers, places, processes
from .commands import run
from .failures import ClusterError
from .nodes import NODES, Node, node

_TABLE = "threadkeep-faults"
_COMPONENTS = ("kubelet", "kube-proxy", "containerd")
_STOP_SECONDS = 10.0
_PAUSE = 0.05

# Sets whose elements expire by themselves: an outage ends even if whoever began it was killed.
# Before the services' addresses are translated and after it, so that a pod is cut off either way.
_RULES = f"""\
table inet {_TABLE} {{
    set blocked {{ type ipv4_addr; flags timeout; }}
    chain forward {{
        type filter hook forward priority -200;
        ip saddr @blocked drop
        ip daddr @blocked drop
    }}
    chain input {{ type filter hook input priority -200; ip saddr @blocked drop; }}
    chain output {{ type filter hook output priority 200; ip daddr @blocked drop; }}
}}
"""


def power_off(name: str) -> None:
    """Kill a node with all its pods, as a loss of power would; returns when all is dead."""
    chosen = _other(name)
    components = _components(chosen)
    for each in components:
        places.STOPPED.mkdir(exist_ok=True)
        (places.STOPPED / each).touch()
    _wait_until_ended(components)
    leftovers.end_pods(name)


def power_on(name: str) -> None:
    """Let a node start again; whether it is ready tells the API."""
    for each in _components(_other(name)):
        (places.STOPPED / each).unlink(missing_ok=True)


def cut_off(name: str) -> None:
    """Take a node's network away from it; its pods go on and reach each other alone."""
    run("ip", "link", "set", _other(name).link, "down")


def reconnect(name: str) -> None:
    """Give a node its network back."""
    run("ip", "link", "set", _other(name).link, "up")


def block(address: str, seconds: float) -> None:
    """Drop every packet from and to a pod for so long, open connections included.

    Packets of an earlier one of its connections may come in at any time after the end.
    """
    ip_address(address)  # it becomes part of a program
    on = _node_of(address)
    if _TABLE not in run(*on.inside("nft", "list", "tables")):
        run(*on.inside("nft", "-f", "-"), text=_RULES)
    unblock(address)
    element = f"{{ {address} timeout {seconds * 1000:.0f}ms }}"
    run(*on.inside("nft", "add", "element", "inet", _TABLE, "blocked", element))


def unblock(address: str) -> None:
    """End a block before its time; without effect when there is none."""
    on = _node_of(address)
    if address in blocked(on):
        element = f"{{ {address} }}"
        run(*on.inside("nft", "delete", "element", "inet", _TABLE, "blocked", element))


def blocked(on: Node) -> list[str]:
    """The addresses of a node's pods that are blocked now."""
    if _TABLE not in run(*on.inside("nft", "list", "tables")):
        return []
    listed = run(*on.inside("nft", "list", "set", "inet", _TABLE, "blocked"))
    _, _, elements = listed.partition("elements = {")
    return [each.split()[0] for each in elements.partition("}")[0].split(",") if each.strip()]


def heal() -> None:
    """Undo every fault that is left, whoever caused it."""
    for each in NODES:
        for address in blocked(each):
            unblock(address)
        if not each.is_host:
            reconnect(each.name)
            power_on(each.name)


def stopped() -> list[str]:
    """The components that are kept from running."""
    return sorted(each.name for each in places.STOPPED.glob("*"))


def _other(name: str) -> Node:
    chosen = node(name)
    if chosen.is_host:
        raise ClusterError(f"{name} carries the control plane: without it there is no cluster")
    return chosen


def _components(chosen: Node) -> list[str]:
    return [f"{each}-{chosen.number}" for each in _COMPONENTS]


def _node_of(address: str) -> Node:
    for each in NODES:
        if address.rpartition(".")[0] == each.pods.rpartition(".")[0]:
            return each
    raise ClusterError(f"{address} is no pod's address")


def _wait_until_ended(components: Iterable[str]) -> None:
    deadline = time.monotonic() + _STOP_SECONDS
    while still := processes.recorded().keys() & set(components):
        if time.monotonic() > deadline:
            raise ClusterError(f"{', '.join(sorted(still))} did not end")
        time.sleep(_PAUSE)
