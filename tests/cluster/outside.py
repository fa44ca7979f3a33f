"""A release as a stage whose faults come from outside: the administrator, nodes and links."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from typing_extensions import override

from ..scenarios.callers import platform
from ..scenarios.fleet import Fleet
from ..scenarios.pods import POSTGRES, SERVICE, Pod, Pods
from ..scenarios.stage import Stage
from ..scenarios.stage_in_cluster import ClusterFaults
from ..support.waiting import until
from .local import faults
from .releases import NAME, Release

_LONGEST_BLOCK = 600.0
"""Seconds after which a block ends by itself, should nobody end it."""


class OutsideFaults(ClusterFaults):
    """What a pod may do, and what only the owner of the links can."""

    def __init__(self, pods: Pods, service: list[Pod]) -> None:
        super().__init__(pods, service)
        self._blocked = ""

    @override
    async def block_database(self) -> None:
        self._blocked = (await self._pods.ready(POSTGRES))[0].address
        faults.block(self._blocked, _LONGEST_BLOCK)

    @override
    async def unblock_database(self) -> None:
        faults.unblock(self._blocked)


@asynccontextmanager
async def staged(release: Release) -> AsyncIterator[Stage]:
    """A release that works, by way of every node."""
    pods = Pods(release.cluster.api, release.namespace.name, NAME)
    service = await until(lambda: pods.ready(SERVICE), 180, what="ready pods of the service")
    urls, key = release.urls(), release.secret("platform")["platform-key"]
    async with platform(urls, key) as operator:
        yield Stage(
            urls=urls,
            admin_dsn="",
            operator=operator,
            fleet=Fleet([f"http://{pod.address}:8080" for pod in service]),
            faults=OutsideFaults(pods, service),
        )
