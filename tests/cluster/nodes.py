"""The nodes of a cluster, as its API knows them."""

from __future__ import annotations

from dataclasses import dataclass

from kubernetes import client


@dataclass(frozen=True)
class Nodes:
    """All nodes."""

    api: client.ApiClient

    @property
    def core(self) -> client.CoreV1Api:
        """The calls for nodes."""
        return client.CoreV1Api(self.api)

    def names(self) -> list[str]:
        """Of all nodes."""
        return sorted(
            str(each.metadata.name) for each in self.core.list_node().items if each.metadata
        )

    def is_ready(self, name: str) -> bool:
        """Whether the cluster hears from the node that it can run pods."""
        status = self.core.read_node(name).status
        conditions = (status.conditions if status else None) or []
        return any(each.type == "Ready" and each.status == "True" for each in conditions)

    def has_taints(self, name: str) -> bool:
        """Whether pods are kept away: a node that was lost is free some time after it is ready."""
        spec = self.core.read_node(name).spec
        return bool(spec and spec.taints)

    def cordon(self, name: str) -> None:
        """Let no new pod come to a node."""
        self.core.patch_node(name, {"spec": {"unschedulable": True}})

    def uncordon(self, name: str) -> None:
        """Let pods come to a node again."""
        self.core.patch_node(name, {"spec": {"unschedulable": None}})
