"""Redis for tests: the system's `redis-server` on a Unix socket, keeping nothing."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import override

from threadkeep.embedded.unprivileged import Launcher

from .programs import Program, accepts


class RedisServer(Program):
    """One server; `folder` must have a short path."""

    def __init__(self, program: str, folder: Path) -> None:
        super().__init__("redis", folder)
        self._program = program
        self._socket = folder / "redis.sock"

    @property
    def url(self) -> str:
        """For THREADKEEP_REDIS_URL."""
        return f"unix://{self._socket}?db=0"

    @override
    def command(self) -> list[str]:
        options = {"port": "0", "unixsocket": str(self._socket), "save": "", "appendonly": "no"}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return Launcher().command(self._program, *words)

    @override
    def is_ready(self) -> bool:
        return accepts(self._socket)
