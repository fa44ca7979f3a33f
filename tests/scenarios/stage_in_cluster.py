"""The release in the cluster as a stage: its pods are deleted instead of processes killed."""

from __future__ import annotations

from typing_extensions import override

from ..support import resources
from ..support.waiting import until
from .pods import POSTGRES, SERVICE, Pod, Pods, age
from .stage import Faults

_REPLACED_SECONDS = 180.0
"""For a new pod to be scheduled, started and ready."""
_ALMOST_NONE = 1
"""Seconds of grace of the database: with none at all the next pod could be started over the same
volume while the old one still writes."""


class ClusterFaults(Faults):
    """By pod. Something else replaces it, under another name or the same."""

    is_healing = True

    def __init__(self, pods: Pods, service: list[Pod]) -> None:
        self._pods = pods
        self._at_first = service
        self._gone: dict[int, str] = {}
        """Number → uid of what was deleted last in its place."""

    @override
    async def kill(self, number: int) -> None:
        await self._end(number, grace_seconds=0)

    @override
    async def start(self, number: int) -> None:
        gone = self._gone.pop(number)
        await until(
            lambda: self._is_whole_without(gone), _REPLACED_SECONDS, what="the pod's successor"
        )

    @override
    async def restart(self, number: int) -> None:
        await self._end(number)
        await self.start(number)

    @override
    async def kill_database(self) -> None:
        found = await self._pods.ready(POSTGRES)
        if not found:
            resources.missing("database", "PostgreSQL is not part of the release")
        pod = found[0]
        await self._pods.delete(pod, grace_seconds=_ALMOST_NONE)

        async def is_gone() -> bool:
            return all(each.uid != pod.uid for each in await self._pods.all(POSTGRES))

        await until(is_gone, _REPLACED_SECONDS, what="the end of the database's pod")

    @override
    async def start_database(self) -> float:
        async def back() -> list[Pod]:
            return await self._pods.ready(POSTGRES)

        pod = (await until(back, _REPLACED_SECONDS, what="the database's new pod"))[0]
        assert pod.started is not None
        return age(pod.started)

    @override
    async def block_database(self) -> None:
        resources.missing("network", "links are cut from outside a cluster, not from a pod in it")

    @override
    async def unblock_database(self) -> None:
        """Nothing was blocked."""

    async def _end(self, number: int, *, grace_seconds: int | None = None) -> None:
        pods = await until(lambda: self._pods.ready(SERVICE), _REPLACED_SECONDS, what="a ready pod")
        known = [each.uid for each in self._at_first]
        # Those of the beginning first, so that a second number is another pod than the first.
        pods.sort(key=lambda pod: (pod.uid not in known, pod.name))
        victim = pods[0] if pods[0].uid in known else pods[number % len(pods)]
        self._gone[number] = victim.uid
        await self._pods.delete(victim, grace_seconds=grace_seconds)

    async def _is_whole_without(self, gone: str) -> bool:
        pods = await self._pods.all(SERVICE)
        ready = [pod for pod in pods if pod.is_ready and not pod.is_leaving]
        # One that leaves still has its sockets.
        return len(ready) >= len(self._at_first) and all(pod.uid != gone for pod in pods)
