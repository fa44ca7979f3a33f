"""A cluster that tests may use: how to reach it, and how to bring images to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from kubernetes import client, config

from .nodes import Nodes

Loader = Callable[[Path, Sequence[str]], None]
"""Brings an archive as `docker save` writes it to every node, under the names that are in it; the
first of them tells its content."""


@dataclass
class Cluster:
    """One cluster with its administrator's rights, or those of the pod that the tests run in."""

    origin: str
    """`pod`, `context`, `kind` or `local`: the rung of the ladder that it was found on."""
    context: str = ""
    kubeconfig: Path | None = None
    """The file that knows the context; None means kubectl's own, or the pod's account."""
    load: Loader | None = None
    """How to bring an image to its nodes; None where they pull from a registry."""
    stop: Callable[[], None] = field(default=lambda: None)
    """Ends it, where this machine runs it."""

    @cached_property
    def api(self) -> client.ApiClient:
        """For the classes of the official client: `client.CoreV1Api(cluster.api)`."""
        settings = client.Configuration()
        if self.origin == "pod":
            config.load_incluster_config(settings)
        else:
            config.load_kube_config(
                str(self.kubeconfig) if self.kubeconfig else None,
                self.context,
                settings,
                persist_config=False,
            )
        return client.ApiClient(settings)

    @property
    def nodes(self) -> Nodes:
        """Its nodes."""
        return Nodes(self.api)

    @property
    def is_local(self) -> bool:
        """Whether its nodes can be stopped and cut off from outside: `tests.cluster.local`."""
        return self.origin == "local"

    def arguments(self) -> list[str]:
        """What kubectl needs to know to use it; for helm say `--kube-context`."""
        found = [f"--kubeconfig={self.kubeconfig}"] if self.kubeconfig else []
        return [*found, f"--context={self.context}"] if self.context else found
