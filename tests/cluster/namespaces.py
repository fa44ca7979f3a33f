"""A namespace of a test's own, and what a test asks of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from kubernetes import client, utils
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream

from ..support.waiting import until

_ENFORCE = "pod-security.kubernetes.io/enforce"
_SECONDS = 120.0
_EXECUTE_SECONDS = 30
_NOT_FOUND = 404


@dataclass(frozen=True)
class Pod:
    """What tests want to know of a pod."""

    name: str
    node: str
    address: str
    phase: str
    is_ready: bool

    @classmethod
    def of(cls, pod: client.V1Pod) -> Pod:
        """Read it from the API's object."""
        assert pod.metadata is not None
        assert pod.spec is not None
        assert pod.status is not None
        conditions = {each.type: each.status for each in pod.status.conditions or []}
        return cls(
            str(pod.metadata.name),
            pod.spec.node_name or "",
            pod.status.pod_ip or "",
            pod.status.phase or "",
            conditions.get("Ready") == "True" and pod.metadata.deletion_timestamp is None,
        )


@dataclass(frozen=True)
class Namespace:
    """One namespace; what is made in it is told as plain manifests."""

    api: client.ApiClient
    name: str

    @property
    def core(self) -> client.CoreV1Api:
        """The calls for pods, services and claims."""
        return client.CoreV1Api(self.api)

    def create(self) -> None:
        """Create it, with pods restricted as the standard says."""
        metadata = client.V1ObjectMeta(name=self.name, labels={_ENFORCE: "restricted"})
        self.core.create_namespace(client.V1Namespace(metadata=metadata))

    def remove(self) -> None:
        """Begin to remove it with all that is in it."""
        self.core.delete_namespace(self.name)

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Create objects of whatever kind; a refusal is an error with its reason."""
        for each in manifests:
            utils.create_from_dict(self.api, each, namespace=self.name)

    def pods(self, labels: str) -> list[Pod]:
        """Its pods with these labels, those that are being deleted included."""
        found = self.core.list_namespaced_pod(self.name, label_selector=labels)
        return [Pod.of(each) for each in found.items]

    def pod(self, name: str) -> Pod | None:
        """The pod, or None when it is gone."""
        try:
            return Pod.of(self.core.read_namespaced_pod(name, self.name))
        except ApiException as exc:
            if exc.status != _NOT_FOUND:
                raise
            return None

    async def until_ready(self, labels: str, count: int, seconds: float = _SECONDS) -> list[Pod]:
        """Exactly so many pods with these labels, all ready."""

        def ready() -> list[Pod]:
            pods = self.pods(labels)
            return pods if len(pods) == count and all(each.is_ready for each in pods) else []

        return await until(ready, seconds, what=f"{count} ready pods {labels}")

    async def until_succeeded(self, name: str) -> None:
        """The end of a pod that runs once; its failure is an error with its log."""

        def has_ended() -> bool:
            pod = self.pod(name)
            return pod is not None and pod.phase in {"Succeeded", "Failed"}

        await until(has_ended, _SECONDS, what=f"the end of {name}")
        pod = self.pod(name)
        assert pod is not None
        assert pod.phase == "Succeeded", self.log(name)

    def log(self, name: str) -> str:
        """What a pod wrote."""
        return str(self.core.read_namespaced_pod_log(name, self.name))

    def evict(self, name: str) -> None:
        """Ask for a pod's end as a drain does, so that its disruption budget counts."""
        metadata = client.V1ObjectMeta(name=name, namespace=self.name)
        self.core.create_namespaced_pod_eviction(
            name, self.name, client.V1Eviction(metadata=metadata)
        )

    async def execute(self, pod: str, *command: str) -> str:
        """What a command in a pod writes, to either of its outputs."""
        return await asyncio.to_thread(self._execute, pod, list(command))

    def _execute(self, pod: str, command: list[str]) -> str:
        # Opening a socket changes the API object for as long as it takes; others use ours.
        with client.ApiClient(self.api.configuration) as own:
            socket = stream(
                client.CoreV1Api(own).connect_get_namespaced_pod_exec,
                pod,
                self.name,
                command=command,
                stdout=True,
                stderr=True,
                _preload_content=False,
            )
            try:
                socket.run_forever(timeout=_EXECUTE_SECONDS)
                return str(socket.read_all())
            finally:
                # Its own close leaves the socket open once the server has said goodbye.
                socket.sock.shutdown()
