"""The few calls to the Kubernetes API that starting a cluster takes."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .certificates import Pair
from .failures import ClusterError
from .kubeconfigs import API_PORT
from .nodes import GATEWAY

_SECONDS = 10.0


@dataclass(frozen=True)
class Api:
    """The API with one identity."""

    authority: Path
    pair: Pair

    def is_ready(self) -> bool:
        """Whether the API server says that it can serve."""
        return self._ask("GET", "/readyz")[0] == 200

    def get(self, path: str) -> dict[str, Any] | None:
        """The object, or None when there is none or no answer."""
        status, body = self._ask("GET", path)
        if status != 200:
            return None
        found: dict[str, Any] = json.loads(body)
        return found

    def create(self, path: str, manifest: dict[str, Any]) -> None:
        """Create the object in the collection; one that exists stays as it is."""
        status, body = self._ask("POST", path, json.dumps(manifest))
        if status not in {200, 201, 409}:
            name = f"{manifest['kind']} {manifest['metadata']['name']}"
            raise ClusterError(f"Kubernetes refuses {name}: {body}")

    def is_node_ready(self, name: str) -> bool:
        """Whether the kubelet reports that it can run pods."""
        node = self.get(f"/api/v1/nodes/{name}")
        conditions = node["status"].get("conditions", []) if node else []
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        try:
            context = ssl.create_default_context(cafile=str(self.authority))
            context.load_cert_chain(self.pair.certificate, self.pair.key)
            connection = http.client.HTTPSConnection(
                GATEWAY, API_PORT, timeout=_SECONDS, context=context
            )
            try:
                connection.request(method, path, body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                return answer.status, answer.read().decode("utf-8", "replace")
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as exc:
            return 0, str(exc)
