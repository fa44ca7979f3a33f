"""Several `serve` processes on one port: started, watched, restarted and ended together."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from typing import Final

from threadkeep import logs
from threadkeep.errors import ThreadkeepError

_log = logs.get_logger(__name__)

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 15.0
_STABLE_SECONDS: Final = 30.0
"""A process that ran as long as this had started well: the next pause is short again."""
_FOR_GOOD: Final = frozenset({2, 3})
"""Exit codes that another start would not change: wrong settings, a missing dependency."""


async def supervise(host: str, port: int, count: int) -> int:
    """Keep `count` processes running until a signal; the exit code."""
    with hold(host, port) as held:
        address = (host, int(held.getsockname()[1]))
        supervisor = _Supervisor(address)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, supervisor.asked)
        _log.info("serve.supervising", address=f"http://{host}:{address[1]}", workers=count)
        codes = await asyncio.gather(*(supervisor.keep(n) for n in range(count)))
    # One that SIGTERM ended before it listened for it had nothing to drain yet.
    ends = [0 if code == -signal.SIGTERM else code for code in codes]
    return max(ends) if min(ends) >= 0 else 1


def hold(host: str, port: int) -> socket.socket:
    """A bound socket that never listens: it keeps the port, and finds out that it is taken.

    Processes that share a port would otherwise share it with a stranger's just as well.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            port = probe.getsockname()[1]
        held = socket.socket(family)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((host, port))
    except OSError as exc:
        raise ThreadkeepError(f"Cannot listen on {host}:{port}: {exc.strerror or exc}.") from exc
    return held


class _Supervisor:
    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._running: set[Process] = set()
        self._stopping = asyncio.Event()

    def asked(self) -> None:
        """The first signal drains; the second ends all processes as they stand.

        Neither is handed down: terminals and init systems often send it to every process, and
        a process must not take the two for a second one.
        """
        if self._stopping.is_set():
            for process in self._running:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        self._end()

    def _end(self) -> None:
        self._stopping.set()
        for process in self._running:
            _drain(process)

    async def keep(self, worker: int) -> int:
        """Run one process again and again, with growing pauses; its last exit code."""
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while True:
            begun = loop.time()
            code = await self._run()
            if self._stopping.is_set():
                return code
            _log.error("serve.worker_ended", worker=worker, exit_code=code)
            if code in _FOR_GOOD:
                self._end()
                return code
            if loop.time() - begun > _STABLE_SECONDS:
                pause = _FIRST_PAUSE
            if await self._stopped_within(pause):
                return code
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _run(self) -> int:
        host, port = self._address
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "threadkeep", "serve", "--supervised"),
            *("--host", host, "--port", str(port)),
            stdin=PIPE,  # its end tells the process to end, also when this one is gone
        )
        self._running.add(process)
        if self._stopping.is_set():  # the signal came while it was being started
            _drain(process)
        try:
            return await process.wait()
        finally:
            self._running.discard(process)

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True


def _drain(process: Process) -> None:
    """Tell a process to drain and end: by its standard input, which belongs to it alone."""
    if process.stdin is not None:
        process.stdin.close()
