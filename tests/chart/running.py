"""What `lookup` finds of a release that runs: answers of an API server, without a cluster.

Helm asks it what it knows and reads objects by name; nothing else is answered.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from typing_extensions import override

from .chart import KUBERNETES, NAMESPACE, Object

_KINDS: Final = {
    "v1": ("ConfigMap", "Pod", "Secret", "Service", "ServiceAccount"),
    "apps/v1": ("Deployment", "StatefulSet"),
    "autoscaling/v2": ("HorizontalPodAutoscaler",),
    "batch/v1": ("CronJob", "Job"),
    "networking.k8s.io/v1": ("Ingress", "NetworkPolicy"),
    "policy/v1": ("PodDisruptionBudget",),
    "rbac.authorization.k8s.io/v1": ("Role", "RoleBinding"),
}
_IRREGULAR: Final = {"Ingress": "ingresses", "NetworkPolicy": "networkpolicies"}


@contextmanager
def release(objects: Sequence[Object]) -> Iterator[tuple[str, ...]]:
    """Options with which `helm template` finds these objects and no others."""
    answers = dict(_discovery()) | {_path(each): each for each in objects}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = answers.get(self.path.partition("?")[0])
            status = {"kind": "Status", "apiVersion": "v1", "reason": "NotFound", "code": 404}
            content = json.dumps(known or status).encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        @override
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield (
            *("--dry-run=server", "--disable-openapi-validation"),
            f"--kube-apiserver=http://127.0.0.1:{server.server_port}",
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _path(each: Object) -> str:
    version, name = each["apiVersion"], each["metadata"]["name"]
    return f"{_root(version)}/namespaces/{NAMESPACE}/{_plural(each['kind'])}/{name}"


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _plural(kind: str) -> str:
    return _IRREGULAR.get(kind, f"{kind.lower()}s")


def _discovery() -> Iterator[tuple[str, Any]]:
    major, _, minor = KUBERNETES.partition(".")
    yield "/version", {"major": major, "minor": minor, "gitVersion": f"v{KUBERNETES}.0"}
    yield "/api", {"kind": "APIVersions", "versions": ["v1"]}
    groups = []
    for version, kinds in _KINDS.items():
        group, _, name = version.rpartition("/")
        if group:
            offered = {"groupVersion": version, "version": name}
            groups.append({"name": group, "versions": [offered], "preferredVersion": offered})
        resources = [
            {"name": _plural(kind), "kind": kind, "namespaced": True, "verbs": ["get"]}
            for kind in kinds
        ]
        found = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version}
        yield _root(version), found | {"resources": resources}
    yield "/apis", {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
