"""A release of the chart in a namespace of its own, handled as its user would: with Helm."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from kubernetes import client

from ..chart.chart import CHART, Helm
from ..support.waiting import until
from .access import Cluster
from .namespaces import Namespace

NAME: Final = "tk"
FULL_NAME: Final = "tk-threadkeep"
_SECONDS: Final = 300


class HelmFailed(AssertionError):
    """A command of Helm ended with an error; the text is what it wrote."""


def _image(value: str, reference: str) -> dict[str, str]:
    """The values that name an image."""
    registry, _, rest = reference.partition("/")
    repository, _, tag = rest.rpartition(":")
    return {
        f"{value}.registry": registry,
        f"{value}.repository": repository,
        f"{value}.tag": tag,
    }


@dataclass
class Release:
    """One installation: two pods of the service over a PostgreSQL of its own."""

    helm: Helm
    cluster: Cluster
    namespace: Namespace
    images: dict[str, str]
    """Name → reference of what the nodes have, or pull."""
    service: str = ""
    """The image that was installed last."""

    async def install(self) -> str:
        """Into a namespace that may be empty; its end means that it works."""
        self.service = "threadkeep"
        return await self.run("install", NAME, str(CHART), *self._wait, *self.values("threadkeep"))

    async def upgrade(self, image: str) -> str:
        """To another build of the service."""
        self.service = image
        return await self.run("upgrade", NAME, str(CHART), *self._wait, *self.values(image))

    async def rollback(self) -> str:
        """To the revision before."""
        return await self.run("rollback", NAME, *self._wait)

    async def uninstall(self) -> str:
        """All of it, but for what is kept."""
        return await self.run("uninstall", NAME, *self._wait)

    async def test(self) -> str:
        """`helm test` with the log of its pod."""
        return await self.run("test", NAME, "--logs", "--timeout", f"{_SECONDS}s")

    async def run(self, *arguments: str) -> str:
        """One command of Helm; what it wrote."""
        cluster = [
            each.replace("--context=", "--kube-context=") for each in self.cluster.arguments()
        ]
        process = await asyncio.create_subprocess_exec(
            self.helm.program,
            *(*arguments, *cluster, "--namespace", self.namespace.name),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), _SECONDS + 60)
        if process.returncode:
            raise HelmFailed(f"helm {arguments[0]}:\n{output.decode()}\n{self.explain()}")
        return output.decode()

    def values(self, service: str) -> list[str]:
        """For the image `service` and few resources, reached on every node."""
        given = {
            **_image("image", self.images[service]),
            **_image("postgres.image", self.images["threadkeep-postgres"]),
            "service.type": "NodePort",
            "database.bundled.storage.size": "1Gi",
        }
        return [part for name, value in given.items() for part in ("--set", f"{name}={value}")]

    @property
    def _wait(self) -> list[str]:
        return ["--wait", "--timeout", f"{_SECONDS}s"]

    @cached_property
    def _core(self) -> client.CoreV1Api:
        return client.CoreV1Api(self.cluster.api)

    def urls(self) -> list[str]:
        """The service by way of each node."""
        service: Any = self._core.read_namespaced_service(FULL_NAME, self.namespace.name)
        port = service.spec.ports[0].node_port
        nodes: Any = self._core.list_node()
        addresses = [
            each.address
            for node in nodes.items
            for each in node.status.addresses
            if each.type == "InternalIP"
        ]
        return [f"http://{address}:{port}" for address in addresses]

    def secret(self, name: str) -> dict[str, str]:
        """The contents of one of its Secrets."""
        found: Any = self._core.read_namespaced_secret(f"{FULL_NAME}-{name}", self.namespace.name)
        return {key: b64decode(value).decode() for key, value in found.data.items()}

    def names(self, kind: str) -> set[str]:
        """Names of all objects of a kind in the namespace."""
        listed: Any = getattr(self._core, f"list_namespaced_{kind}")(self.namespace.name)
        return {each.metadata.name for each in listed.items}

    def pods(self) -> dict[str, str]:
        """Uid of each of its pods by its name; that of `helm test` is left to whoever reads it."""
        labels = "app.kubernetes.io/component in (service,postgres)"
        listed: Any = self._core.list_namespaced_pod(self.namespace.name, label_selector=labels)
        return {each.metadata.name: each.metadata.uid for each in listed.items}

    async def crash_a_pod(self, number: int) -> None:
        """End the process of one pod at once: a second SIGTERM has it exit as it stands.

        Soon after the first: what drains for a while sends its callers elsewhere.
        """
        labels = "app.kubernetes.io/component=service"
        pods = await self.namespace.until_ready(labels, 2)
        command = "kill -TERM 1; sleep 0.05; kill -TERM 1"
        names = sorted(pod.name for pod in pods)
        await self.namespace.execute(names[number % len(names)], "sh", "-c", command)

    async def runs_only(self, image: str) -> None:
        """All pods of the service are of this build, and those before have drained and ended.

        Helm does not wait for that, and Helm 3 not for the last of the new ones.
        """
        wanted = {self.images[image]}
        labels = "app.kubernetes.io/component=service"

        def is_settled() -> bool:
            listed: Any = self._core.list_namespaced_pod(self.namespace.name, label_selector=labels)
            is_leaving = any(each.metadata.deletion_timestamp for each in listed.items)
            return not is_leaving and wanted == {
                each.spec.containers[0].image for each in listed.items
            }

        await until(is_settled, 120, what=f"pods of {image} alone")

    def explain(self) -> str:
        """Why something does not work: the pods, the newest events, the ends of the logs."""
        events: Any = self._core.list_namespaced_event(self.namespace.name)
        told = [f"{each.reason}: {each.message}" for each in events.items][-20:]
        return "\n".join([*told, *(self._log(name) for name in self.pods())])

    def _log(self, pod: str) -> str:
        """The end of what each of its containers wrote."""
        found: Any = self._core.read_namespaced_pod(pod, self.namespace.name)
        parts = []
        for container in [*(found.spec.init_containers or []), *found.spec.containers]:
            try:
                text = self._core.read_namespaced_pod_log(
                    pod, self.namespace.name, container=container.name, tail_lines=15
                )
            except client.ApiException as exc:
                text = exc.reason
            parts.append(f"--- {pod}/{container.name}:\n{text}")
        return "\n".join(parts)
