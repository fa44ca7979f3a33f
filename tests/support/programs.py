"""A program started for the tests: its log, its readiness, and every way to end it."""

from __future__ import annotations

import abc
import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import ClassVar

import psutil

from threadkeep.embedded.processes import kill_tree, spawn, wait_ended

_TAIL_LINES = 60
READY_SECONDS = 60.0
"""Longest wait for a started program; many start at once on a machine with few processors."""


class Program(abc.ABC):
    """Blocking calls; from a coroutine use `asyncio.to_thread`. Ends with the test run."""

    running: ClassVar[list[Program]] = []
    """Those started now; a failing test shows the ends of their logs."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.log_path = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @abc.abstractmethod
    def command(self) -> list[str]:
        """What to start."""

    @abc.abstractmethod
    def is_ready(self) -> bool:
        """Whether it does its work."""

    def environment(self) -> dict[str, str]:
        """What it sees of the environment: nothing of the test run's own settings."""
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}

    @property
    def pid(self) -> int:
        """Process id; an error when it was never started."""
        return self._started().pid

    @property
    def is_running(self) -> bool:
        """Whether the process exists."""
        return self._process is not None and self._process.poll() is None

    def start(self, seconds: float = READY_SECONDS, *, wait: bool = True) -> None:
        """Start it and wait until it is ready."""
        with self.log_path.open("ab") as log:
            self._process = spawn(self.command(), environment=self.environment(), log=log)
        self.running.append(self)
        if wait:
            self.wait_ready(seconds)

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until it does its work; its end or the time limit is an error with its log."""
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            code = self._started().poll()
            if code is not None:
                raise AssertionError(f"{self.name} ended with {code}:\n{self.output()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name}: not ready in {seconds:g} s:\n{self.output()}")
            time.sleep(0.01)

    def terminate(self) -> None:
        """Ask it to end, as an init system would; `wait` tells how it went."""
        self._started().send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 20.0) -> int:
        """Exit code once it has ended by itself."""
        try:
            code = self._started().wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.name} still runs after {seconds:g} s:\n{self.output()}"
            ) from None
        self._forget()
        return code

    def stop(self, seconds: float = 20.0) -> None:
        """End it, by force if need be; without effect when it has ended."""
        if self.is_running:
            self.resume()
            self.terminate()
            with contextlib.suppress(psutil.NoSuchProcess):  # it may have ended by itself just now
                wait_ended([psutil.Process(self.pid)], seconds=seconds)
        self.kill()

    def kill(self) -> None:
        """Kill -9 it with all its processes."""
        if self.is_running:
            alive = kill_tree(psutil.Process(self.pid), seconds=10.0)
            assert not alive, f"{self.name}: processes survive a kill: {alive}"
            self._started().wait(10.0)
        self._forget()

    def pause(self) -> None:
        """Stop its processes (SIGSTOP); it keeps its connections and misses its leases."""
        for process in self._tree():
            process.suspend()

    def resume(self) -> None:
        """Let a paused program go on."""
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def output(self) -> str:
        """The end of what it wrote."""
        if not self.log_path.exists():
            return ""
        lines = self.log_path.read_text("utf-8", "replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])

    def _tree(self) -> list[psutil.Process]:
        root = psutil.Process(self.pid)
        return [root, *root.children(recursive=True)]

    def _started(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} was not started"
        return self._process

    def _forget(self) -> None:
        with contextlib.suppress(ValueError):
            self.running.remove(self)


def accepts(path: Path) -> bool:
    """Whether somebody listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
