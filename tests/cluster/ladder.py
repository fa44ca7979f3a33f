"""Finds the cluster to test in, from the one that is named down to the one that is built here.

THREADKEEP_TEST_CONTEXT          a context of kubectl's configuration
THREADKEEP_TEST_CONTEXT_CONFIRM  the same name again, if it is not one that is known to be for tests
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path

from . import kind
from .access import Cluster
from .local import build, cluster, containerd, machine, nodes, places
from .local.kubeconfigs import CONTEXT

Say = Callable[[str], None]

FOR_TESTS = ("kind-*", "k3d-*", "threadkeep-*")
"""Contexts that nobody runs anything of value in."""
_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class NoCluster(Exception):
    """No rung carries; the message says what each lacks."""


class ContextRefused(Exception):
    """The named context may hold something of value."""


def find(say: Say) -> Cluster:
    """The cluster of the first rung that carries, started if need be."""
    if "KUBERNETES_SERVICE_HOST" in os.environ and _TOKEN.exists():
        return Cluster("pod")
    if name := os.environ.get("THREADKEEP_TEST_CONTEXT"):
        return Cluster("context", allowed(name))
    return start(say)


def start(say: Say) -> Cluster:
    """A cluster on this machine: with kind where there is a container engine, else built here."""
    no_kind = kind.lacks()
    if no_kind is None:
        return kind.start(say)
    no_local = machine.lacks()
    if no_local is None:
        build.everything(say)
        cluster.start(say)
        return local()
    raise NoCluster(
        f"no THREADKEEP_TEST_CONTEXT; no kind ({no_kind}); no local cluster ({no_local})"
    )


def local() -> Cluster:
    """The cluster of `tests.cluster.local`, which must be up."""
    return Cluster(
        "local",
        CONTEXT,
        places.KUBECONFIG,
        load=_load,
        stop=lambda: cluster.stop(print),
    )


def allowed(name: str) -> str:
    """The name, if tests may use this context."""
    is_for_tests = any(fnmatch(name, each) for each in FOR_TESTS)
    if is_for_tests or os.environ.get("THREADKEEP_TEST_CONTEXT_CONFIRM") == name:
        return name
    raise ContextRefused(
        f"{name} is none of {', '.join(FOR_TESTS)}. These tests delete pods and namespaces; "
        "if that may happen there, say so: THREADKEEP_TEST_CONTEXT_CONFIRM with the same name."
    )


def _load(archive: Path, references: Sequence[str]) -> None:
    for each in nodes.NODES:
        containerd.load(each, archive, references)
