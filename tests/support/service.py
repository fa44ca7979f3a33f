"""`threadkeep serve` as users run it: processes of their own on ports of the loopback interface."""

from __future__ import annotations

import asyncio
import http.client
import sys
from collections.abc import Mapping
from pathlib import Path

from typing_extensions import override

from threadkeep.embedded.unprivileged import Launcher

from .programs import Program, free_port

_HOST = "127.0.0.1"


class ServiceProcess(Program):
    """One `threadkeep serve`; a restart keeps its port."""

    def __init__(
        self, name: str, folder: Path, settings: Mapping[str, str], options: tuple[str, ...] = ()
    ) -> None:
        super().__init__(name, folder)
        self.port = free_port()
        self.settings = dict(settings)
        self._options = options

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{_HOST}:{self.port}"

    @override
    def command(self) -> list[str]:
        serve = ("serve", "--host", _HOST, "--port", str(self.port))
        return Launcher().command(sys.executable, "-m", "threadkeep", *serve, *self._options)

    @override
    def environment(self) -> dict[str, str]:
        return {**super().environment(), "THREADKEEP_LOG_FORMAT": "json", **self.settings}

    @override
    def is_ready(self) -> bool:
        connection = http.client.HTTPConnection(_HOST, self.port, timeout=2.0)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class Deployment:
    """Several service processes over one database."""

    def __init__(self, processes: list[ServiceProcess], platform_key: str) -> None:
        self.processes = processes
        self.platform_key = platform_key

    @property
    def urls(self) -> list[str]:
        """One address per process."""
        return [process.url for process in self.processes]

    async def start(self) -> None:
        """Start all at once and wait until all are ready."""
        await asyncio.to_thread(self.start_now)

    def start_now(self) -> None:
        """The same, blocking."""
        for process in self.processes:
            process.start(wait=False)
        for process in self.processes:
            process.wait_ready()

    async def stop(self) -> None:
        """End all of them."""
        await asyncio.to_thread(self.stop_now)

    def stop_now(self) -> None:
        """The same, blocking; all are asked before the first is waited for."""
        for process in self.processes:
            if process.is_running:
                process.resume()
                process.terminate()
        for process in self.processes:
            process.stop()
