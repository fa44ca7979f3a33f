"""A deployment that a test may break."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ..support.postgres import Database
from ..support.service import Deployment
from .callers import Platform
from .database import Clock


class Faults:
    """What can go wrong with the processes of a deployment, counted from 0."""

    def __init__(self, deployment: Deployment) -> None:
        self._processes = deployment.processes

    async def kill(self, number: int) -> None:
        """Kill -9 a service process."""
        await asyncio.to_thread(self._processes[number].kill)

    async def start(self, number: int) -> None:
        """Start it again at the same address and wait until it is ready."""
        await asyncio.to_thread(self._processes[number].start)

    async def restart(self, number: int) -> None:
        """End it as an upgrade would, and start it again."""
        await asyncio.to_thread(self._processes[number].stop)
        await self.start(number)

    async def stop(self, number: int) -> None:
        """Freeze it: it keeps its connections and does nothing."""
        await asyncio.to_thread(self._processes[number].pause)

    async def resume(self, number: int) -> None:
        """Let it go on."""
        await asyncio.to_thread(self._processes[number].resume)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Two service processes over a database that nobody else uses."""

    deployment: Deployment
    database: Database
    operator: Platform

    @property
    def urls(self) -> list[str]:
        """One address per process."""
        return self.deployment.urls

    @property
    def admin_dsn(self) -> str:
        """Raw SQL as the administrator."""
        return self.database.superuser_url

    @property
    def clock(self) -> Clock:
        """Lets rows grow older."""
        return Clock(self.admin_dsn)

    @property
    def faults(self) -> Faults:
        """Kill, stop, start."""
        return Faults(self.deployment)
