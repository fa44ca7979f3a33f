"""Processes of the cluster: told apart from others that later got the same number, and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import places

_PROC = Path("/proc")
_STARTED_FIELD = 19
"""Of /proc/PID/stat after the program's name: when it started, in ticks since the boot."""
_PAUSE = 0.05


@dataclass(frozen=True)
class Process:
    """A process, known by its number and by when it started."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has this number now."""
        started = _started(pid)
        return None if started is None else cls(pid, started)

    @property
    def is_alive(self) -> bool:
        """Whether it still exists; a dead one that nobody waited for does not."""
        return _started(self.pid) == self.started

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.is_alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def record(name: str, pid: int) -> None:
    """Write the pid file of a component."""
    process = Process.of(pid)
    if process is not None:
        places.PIDS.mkdir(parents=True, exist_ok=True)
        (places.PIDS / name).write_text(f"{process.pid} {process.started}\n", "ascii")


def recorded() -> dict[str, Process]:
    """Those of the pid files, whether alive or not."""
    found = {}
    for path in sorted(places.PIDS.glob("*")):
        try:
            words = path.read_text("ascii").split()
        except FileNotFoundError:  # it ended meanwhile
            continue
        if len(words) == 2 and all(each.isdigit() for each in words):
            found[path.name] = Process(int(words[0]), int(words[1]))
    return found


def forget(name: str) -> None:
    """Remove the pid file of a component."""
    (places.PIDS / name).unlink(missing_ok=True)


def mentioning(text: str) -> list[Process]:
    """The processes that have this text among their arguments: shims know their socket so."""
    found = []
    for pid in _pids():
        with contextlib.suppress(OSError):
            if text.encode() in (_PROC / str(pid) / "cmdline").read_bytes():
                process = Process.of(pid)
                if process is not None and pid != os.getpid():
                    found.append(process)
    return found


def end(processes: Iterable[Process], *, seconds: float) -> list[Process]:
    """Ask them to end, kill those that do not within `seconds`; returns survivors of even that."""
    waiting = [each for each in processes if each.is_alive]
    for number, limit in ((signal.SIGTERM, seconds), (signal.SIGKILL, 10.0)):
        for each in waiting:
            each.send(number)
        waiting = _after(waiting, limit)
    return waiting


def kill(processes: Iterable[Process]) -> list[Process]:
    """Kill them at once; returns survivors."""
    waiting = list(processes)
    for each in waiting:
        each.send(signal.SIGKILL)
    return _after(waiting, 10.0)


def _after(waiting: list[Process], seconds: float) -> list[Process]:
    deadline = time.monotonic() + seconds
    while waiting and time.monotonic() < deadline:
        waiting = [each for each in waiting if each.is_alive]
        time.sleep(_PAUSE if waiting else 0)
    return waiting


def _pids() -> Iterator[int]:
    return (int(each.name) for each in _PROC.iterdir() if each.name.isdigit())


def _started(pid: int) -> int | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_text("utf-8", "replace")
    except OSError:
        return None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(rest[_STARTED_FIELD - 1])
