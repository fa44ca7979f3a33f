"""The pods of the release that is tested, through the API of the cluster.

In here is all that the suites ask of Kubernetes besides writing down their results: the Roles in
`k8s-jobs/` grant no more, which a test compares.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kubernetes import client, config

SERVICE: Final = "service"
POSTGRES: Final = "postgres"
PORT: Final = 8080
"""On which pods of the service listen."""
ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SECONDS: Final = 10


@dataclass(frozen=True, kw_only=True)
class Pod:
    """One pod as it stands."""

    name: str
    uid: str
    address: str
    is_ready: bool
    is_leaving: bool
    started: datetime | None
    """When its main container began to run."""

    @classmethod
    def of(cls, found: client.V1Pod) -> Pod:
        """From what the API answers."""
        metadata, status = found.metadata, found.status
        assert metadata is not None
        assert status is not None
        states = [each.state for each in status.container_statuses or [] if each.state]
        started = [s.running.started_at for s in states if s.running and s.running.started_at]
        conditions = status.conditions or []
        return cls(
            name=metadata.name or "",
            uid=metadata.uid or "",
            address=status.pod_ip or "",
            is_ready=any(c.type == "Ready" and c.status == "True" for c in conditions),
            is_leaving=metadata.deletion_timestamp is not None,
            started=min(started, default=None),
        )


class Pods:
    """Those of one release."""

    def __init__(self, api: client.ApiClient, namespace: str, release: str) -> None:
        self._api = client.CoreV1Api(api)
        self._namespace = namespace
        self._release = release

    @classmethod
    def beside(cls, release: str) -> Pods:
        """Those in the namespace of this pod."""
        return cls(own_api(), namespace(), release)

    async def ready(self, component: str) -> list[Pod]:
        """Those that serve, by name."""
        return [pod for pod in await self.all(component) if pod.is_ready and not pod.is_leaving]

    async def all(self, component: str) -> list[Pod]:
        """All of a component, by name."""
        labels = (
            f"app.kubernetes.io/instance={self._release},app.kubernetes.io/component={component}"
        )
        found = await asyncio.to_thread(
            self._api.list_namespaced_pod,
            self._namespace,
            label_selector=labels,
            _request_timeout=_SECONDS,
        )
        return sorted((Pod.of(each) for each in found.items), key=lambda pod: pod.name)

    async def delete(self, pod: Pod, *, grace_seconds: int | None = None) -> None:
        """Ask it to leave; 0 seconds kill it."""
        await asyncio.to_thread(
            self._api.delete_namespaced_pod,
            pod.name,
            self._namespace,
            grace_period_seconds=grace_seconds,
            _request_timeout=_SECONDS,
        )


def own_api() -> client.ApiClient:
    """The API as this pod's account may use it."""
    settings = client.Configuration()
    config.load_incluster_config(settings)
    return client.ApiClient(settings)


def namespace() -> str:
    """The one this pod runs in."""
    return (ACCOUNT / "namespace").read_text("ascii").strip()


def release_under_test() -> str | None:
    """The release whose pods may be harmed; None outside a cluster."""
    return os.environ.get("THREADKEEP_TEST_RELEASE")


def age(moment: datetime) -> float:
    """Seconds since then; the API knows whole seconds only."""
    return (datetime.now(UTC) - moment).total_seconds()
