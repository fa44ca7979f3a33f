"""The service of `threadkeep dev`: `threadkeep serve` in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from threadkeep.embedded.processes import spawn
from threadkeep.embedded.unprivileged import Launcher
from threadkeep.errors import ThreadkeepError

_READY_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.02
_STOP_SECONDS: Final = 25.0
"""The drain and the requests' own time, and some more."""
_LOG_BYTES: Final = 16 << 20
"""A log larger than this starts anew."""
_SAYS: Final = "threadkeep: "
"""How a command begins what it tells a person."""


class ServiceProcess:
    """One `serve`, which ends with this process whatever ends it."""

    def __init__(
        self, host: str, port: int, *, settings: Mapping[str, str], log_path: Path
    ) -> None:
        self._host = host
        self._port = port
        self._settings = settings
        self._log_path = log_path
        self._log_begin = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it is not ready yet."""
        if self._log_path.exists() and self._log_path.stat().st_size > _LOG_BYTES:
            self._log_path.unlink()
        command = Launcher().command(
            *(sys.executable, "-m", "threadkeep", "serve"),
            *("--host", self._host, "--port", str(self._port)),
        )
        descriptor = os.open(self._log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as log:
            self._log_begin = log.seek(0, os.SEEK_END)
            environment = {**os.environ, **self._settings}
            self._process = spawn(command, environment=environment, log=log)

    async def wait_ready(self) -> None:
        """Wait until it answers `/readyz`; raises when it ends or takes too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_READY_SECONDS):
                while not await asyncio.to_thread(self._is_ready):
                    self._check()
                    await asyncio.sleep(_POLL_SECONDS)
                return
        raise ThreadkeepError(
            f"The service was not ready after {_READY_SECONDS:.0f} s; see {self._log_path}."
        )

    async def watch(self) -> None:
        """Raise when it ends by itself."""
        while True:
            self._check()
            await asyncio.sleep(0.2)

    def stop(self) -> None:
        """Let it drain, then end it by force. Blocking."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
        if process.poll() is None:
            process.kill()
            process.wait(_STOP_SECONDS)

    def _check(self) -> None:
        process = self._process
        if process is None or (code := process.poll()) is None:
            return
        if code < 0:
            name = signal.Signals(-code).name
            raise ThreadkeepError(f"The service was ended by {name}; see {self._log_path}.")
        said = self._last_sentence()
        raise ThreadkeepError(f"The service ended with {code}: {said}see {self._log_path}.")

    def _last_sentence(self) -> str:
        """What it told its operator before it ended; its log lines are for other readers."""
        with contextlib.suppress(OSError), self._log_path.open("rb") as log:
            log.seek(self._log_begin)
            lines = log.read().decode("utf-8", "replace").splitlines()
            said = [line for line in lines if line.startswith(_SAYS)]
            if said:
                return f"{said[-1].removeprefix(_SAYS).rstrip('.')}; "
        return ""

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(_reachable(self._host), self._port, timeout=2.0)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def url_of(host: str, port: int) -> str:
    """Where programs on this machine reach a service that listens there."""
    name = _reachable(host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound
