"""A deployment that a test may break."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import time
from dataclasses import dataclass

import psutil
from typing_extensions import override

from threadkeep.embedded.postgres import PostgresServer

from ..support.service import Deployment
from .callers import Platform
from .database import Clock
from .fleet import Fleet

_START_SECONDS = 60.0
"""For a process to be ready while the other one and all clients are busy."""


class Faults(abc.ABC):
    """What can go wrong with a deployment. Processes are counted from 0."""

    is_healing = False
    """Whether something starts again what was killed, so that nothing stays away for long."""

    @abc.abstractmethod
    async def kill(self, number: int) -> None:
        """Kill -9 a service process."""

    @abc.abstractmethod
    async def start(self, number: int) -> None:
        """See to it that it, or what takes its place, is ready again."""

    @abc.abstractmethod
    async def restart(self, number: int) -> None:
        """End it as an upgrade would, and start it again."""

    @abc.abstractmethod
    async def kill_database(self) -> None:
        """Kill -9 the database server."""

    @abc.abstractmethod
    async def start_database(self) -> float:
        """See to it that it runs again; seconds since it may have served again."""

    @abc.abstractmethod
    async def block_database(self) -> None:
        """Let nothing come through to the database, and nothing back."""

    @abc.abstractmethod
    async def unblock_database(self) -> None:
        """Let it through again."""


class LocalFaults(Faults):
    """By process id."""

    def __init__(self, deployment: Deployment, server: PostgresServer | None) -> None:
        self._processes = deployment.processes
        self._given_server = server

    @override
    async def kill(self, number: int) -> None:
        await asyncio.to_thread(self._processes[number].kill)

    @override
    async def start(self, number: int) -> None:
        await asyncio.to_thread(self._processes[number].start, _START_SECONDS)

    @override
    async def restart(self, number: int) -> None:
        await asyncio.to_thread(self._processes[number].stop)
        await self.start(number)

    @override
    async def kill_database(self) -> None:
        await asyncio.to_thread(self._server.kill)

    @override
    async def start_database(self) -> float:
        begun = time.perf_counter()
        await asyncio.to_thread(self._server.start)
        return time.perf_counter() - begun

    @override
    async def block_database(self) -> None:
        for process in self._tree():
            process.suspend()

    @override
    async def unblock_database(self) -> None:
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    @property
    def _server(self) -> PostgresServer:
        assert self._given_server is not None, "this stage shares its database server"
        return self._given_server

    def _tree(self) -> list[psutil.Process]:
        pid = self._server.pid
        assert pid is not None, "the database server does not run"
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Two service processes over a database that nobody else uses."""

    urls: list[str]
    """One address per process."""
    admin_dsn: str
    """Raw SQL as the administrator."""
    operator: Platform
    fleet: Fleet
    """Its processes one by one."""
    faults: Faults

    @property
    def clock(self) -> Clock:
        """Lets rows grow older."""
        return Clock(self.admin_dsn)
