"""Manifests for tests of the cluster itself; their image is the cluster's own."""

from __future__ import annotations

from typing import Any

from .local.image import NAME

Manifest = dict[str, Any]


def deployment(name: str, *, replicas: int) -> Manifest:
    """A small HTTP server that answers with its pod's name, spread over the nodes."""
    labels = {"app": name}
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels},
    }
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    spec = {
        "topologySpreadConstraints": [spread],
        "containers": [_container("/serve") | {"readinessProbe": probe}],
        "terminationGracePeriodSeconds": 2,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def service(name: str) -> Manifest:
    """Port 80 before the deployment of this name."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
    }


def claim(name: str) -> Manifest:
    """A volume of the default storage class."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "16Mi"}},
        },
    }


def pod(name: str, *command: str, volume: str | None = None, node: str | None = None) -> Manifest:
    """A pod that runs a command once; a claim is mounted at /data."""
    container = _container(*command)
    spec: Manifest = {"containers": [container], "restartPolicy": "Never"}
    if volume is not None:
        container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
        source = {"name": "data", "persistentVolumeClaim": {"claimName": volume}}
        spec |= {"volumes": [source], "securityContext": {"fsGroup": 65535}}
    if node is not None:
        spec["nodeSelector"] = {"kubernetes.io/hostname": node}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def _container(*command: str) -> Manifest:
    return {
        "name": "main",
        "image": NAME,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 65535,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
