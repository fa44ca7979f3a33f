"""CoreDNS, as a process of the host that all pods ask."""

from __future__ import annotations

from . import places
from .components import Component, answers
from .control_plane import Identities
from .nodes import GATEWAY
from .rights import Placed, cluster_rights, rule

_USER = "system:coredns"
_HEALTH = 8080
_READY = 8181

# Names outside the cluster get an answer at once from a block of their own: in the first block the
# template would answer for the cluster's names too.
_COREFILE = f"""\
cluster.local in-addr.arpa ip6.arpa {{
    bind {GATEWAY}
    errors
    health {GATEWAY}:{_HEALTH}
    ready {GATEWAY}:{_READY}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {{kubeconfig}}
        pods insecure
        ttl 5
    }}
}}
. {{
    bind {GATEWAY}
    errors
    template ANY ANY . {{
        rcode NXDOMAIN
    }}
}}
"""


def manifests() -> list[Placed]:
    """What CoreDNS may read."""
    return cluster_rights(
        _USER,
        rule("core", "endpoints services pods namespaces nodes", "list watch"),
        rule("discovery.k8s.io", "endpointslices", "list watch"),
    )


def component(identities: Identities) -> Component:
    """Write its configuration and tell how it is started."""
    kubeconfig = identities.kubeconfig(_USER)
    config = places.STATE / "Corefile"
    config.write_text(_COREFILE.replace("{kubeconfig}", str(kubeconfig)), "utf-8")
    return Component(
        "coredns",
        (str(places.BUILT / "coredns"), "-conf", str(config), "-dns.port", "53"),
        lambda: answers(GATEWAY, _READY, "/ready"),
    )
