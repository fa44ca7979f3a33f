"""Volumes: local-path-provisioner makes a folder of the node for every claim."""

from __future__ import annotations

import json

from . import image, places
from .components import Component, always
from .control_plane import Identities
from .nodes import NODES
from .rights import Placed, cluster_rights, rule

_USER = "threadkeep:volumes"
_NAMESPACE = "local-path-storage"
_CONFIG_MAP = "local-path-config"
_PROVISIONER = "rancher.io/local-path"
STORAGE_CLASS = "local-path"


def manifests() -> list[Placed]:
    """The default storage class, and what its provisioner needs and may."""
    return [
        *cluster_rights(
            _USER,
            rule("core", "nodes persistentvolumeclaims configmaps", "get list watch"),
            rule("core", "persistentvolumes", "get list watch create patch update delete"),
            rule("core", "events", "create patch"),
            rule("storage.k8s.io", "storageclasses", "get list watch"),
            # Its helper pods; only in its own namespace would be enough, but its watch is of all.
            rule("core", "pods pods/log", "get list watch create delete"),
            rule("core", "endpoints", "get list watch create patch update"),
            rule("coordination.k8s.io", "leases", "get list watch create patch update"),
        ),
        ("/api/v1/namespaces", _namespace()),
        (f"/api/v1/namespaces/{_NAMESPACE}/configmaps", _config_map()),
        ("/apis/storage.k8s.io/v1/storageclasses", _storage_class()),
    ]


def component(identities: Identities) -> Component:
    """Write its configuration and tell how it is started."""
    kubeconfig = identities.kubeconfig(_USER)
    config, pod = places.STATE / "volumes.json", places.STATE / "volumes-pod.json"
    config.write_text(json.dumps(_paths()), "utf-8")
    pod.write_text(json.dumps(_helper_pod()), "utf-8")
    return Component(
        "local-path-provisioner",
        (
            str(places.BUILT / "local-path-provisioner"),
            "start",
            f"--config={config}",
            f"--kubeconfig={kubeconfig}",
            f"--helper-image={image.NAME}",
            f"--helper-pod-file={pod}",
            f"--configmap-name={_CONFIG_MAP}",
            f"--namespace={_NAMESPACE}",
            "--service-account-name=default",
        ),
        always,
    )


def _paths() -> dict[str, object]:
    paths = [{"node": node.name, "paths": [str(places.VOLUMES / node.name)]} for node in NODES]
    return {"nodePathMap": paths, "setupCommand": "/volume", "teardownCommand": "/volume"}


def _helper_pod() -> dict[str, object]:
    container = {
        "name": "helper",
        "image": image.NAME,
        "imagePullPolicy": "IfNotPresent",
        # The folders of volumes belong to root; they hold what any user of a pod wrote.
        "securityContext": {"runAsUser": 0, "runAsGroup": 0},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "helper-pod"},
        "spec": {"containers": [container], "automountServiceAccountToken": False},
    }


def _namespace() -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}}


def _config_map() -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": _CONFIG_MAP, "namespace": _NAMESPACE},
        "data": {"config.json": json.dumps(_paths()), "helperPod.yaml": json.dumps(_helper_pod())},
    }


def _storage_class() -> dict[str, object]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {
                "storageclass.kubernetes.io/is-default-class": "true",
                # Unlike hostPath, a local volume is handed to the pod's fsGroup.
                "defaultVolumeType": "local",
            },
        },
        "provisioner": _PROVISIONER,
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Delete",
    }
