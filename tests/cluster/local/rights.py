"""Manifests that let the cluster's own programs do their work, and no more."""

from __future__ import annotations

from typing import Any

Manifest = dict[str, Any]
Placed = tuple[str, Manifest]
"""The collection to create it in, and the object."""

_GROUP = "rbac.authorization.k8s.io"


def rule(groups: str, resources: str, verbs: str) -> Manifest:
    """One rule; names are separated by spaces, the core group is `core`."""
    return {
        "apiGroups": ["" if each == "core" else each for each in groups.split()],
        "resources": resources.split(),
        "verbs": verbs.split(),
    }


def cluster_rights(user: str, *rules: Manifest) -> list[Placed]:
    """A ClusterRole of the user's name, bound to the user."""
    role = {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": user},
        "rules": list(rules),
    }
    binding = {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": user},
        "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": user},
        "subjects": [{"apiGroup": _GROUP, "kind": "User", "name": user}],
    }
    base = f"/apis/{_GROUP}/v1"
    return [(f"{base}/clusterroles", role), (f"{base}/clusterrolebindings", binding)]
