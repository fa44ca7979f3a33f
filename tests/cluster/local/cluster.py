"""Starting, adopting and ending the cluster, as whoever uses it sees it."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import leftovers, places, supervisor
from .failures import ClusterError, tail
from .processes import Process

Say = Callable[[str], None]

_ROOT = Path(__file__).parents[3]
_START_SECONDS = 300.0
_STOP_SECONDS = 120.0
_PAUSE = 0.1


@dataclass(frozen=True)
class Status:
    """What the supervisor noted last."""

    phase: str
    """`starting`, `ready`, `failed`, or `down` when there is none."""
    pid: int = 0
    problem: str = ""
    checkout: str = ""


def status() -> Status:
    """How the cluster is."""
    is_alive = supervisor.is_alive()
    try:
        noted = json.loads(places.STATUS.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return Status("starting" if is_alive else "down")
    phase = noted["phase"]
    if not is_alive and phase != "failed":
        phase = "down"
    return Status(phase, noted["pid"], noted["problem"], noted["from"])


def start(say: Say) -> None:
    """Adopt the running cluster, or clean up after a killed one and start a new one."""
    with _alone(say):
        found = status()
        if found.phase == "ready":
            say(f"Adopting the cluster that {found.checkout} started.")
            if stopped := sorted(each.name for each in places.STOPPED.glob("*")):
                say(f"A test keeps {', '.join(stopped)} from running.")
            return
        if supervisor.is_alive():
            # It was started by somebody who did not wait for it.
            _wait_until_ready(say)
            return
        _clean(say)
        _launch()
        _wait_until_ready(say)


def stop(say: Say) -> None:
    """End the cluster and remove everything of it; without effect when there is none."""
    with _alone(say):
        if supervisor.is_alive():
            say("Stopping the cluster ...")
            process = Process.of(status().pid)
            if process is None:
                raise ClusterError(f"nobody knows the process that holds {places.LOCK}")
            os.kill(process.pid, 15)
            _wait(lambda: not supervisor.is_alive(), _STOP_SECONDS, "the supervisor did not end")
        _clean(say)


def _clean(say: Say) -> None:
    if found := leftovers.find():
        say("Cleaning up what an earlier cluster left:")
        for each in found:
            say(f"  {each}")
    leftovers.clean()


def _launch() -> None:
    places.LOGS.mkdir(parents=True, exist_ok=True)
    places.STATE.chmod(0o755)
    places.RUN.mkdir(exist_ok=True, mode=0o711)
    # It outlives this process, which may be a test run: `setsid --fork` gives it to init.
    command = ("setsid", "--fork", sys.executable, "-m", f"{__package__}", "supervise")
    with (places.LOGS / "supervisor.log").open("ab") as log:
        subprocess.run(
            command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True
        )
    _wait(supervisor.is_alive, 30.0, "the supervisor did not start")


def _wait_until_ready(say: Say) -> None:
    spoken = 0
    deadline = time.monotonic() + _START_SECONDS
    while True:
        found = status()
        if places.EVENTS.exists():
            lines = places.EVENTS.read_text("utf-8").splitlines()
            for line in lines[spoken:]:
                say(line)
            spoken = len(lines)
        if found.phase == "ready":
            return
        if found.phase == "failed":
            raise ClusterError(f"The cluster did not start: {found.problem}")
        if found.phase == "down":
            log = places.LOGS / "supervisor.log"
            raise ClusterError(f"The supervisor ended. The end of {log}:\n{tail(log)}")
        if time.monotonic() > deadline:
            raise ClusterError(f"The cluster was not ready within {_START_SECONDS:.0f} s.")
        time.sleep(_PAUSE)


def _wait(is_so: Callable[[], bool], seconds: float, problem: str) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            log = places.LOGS / "supervisor.log"
            raise ClusterError(f"{problem} within {seconds:.0f} s. The end of {log}:\n{tail(log)}")
        time.sleep(_PAUSE)


@contextmanager
def _alone(say: Say) -> Iterator[None]:
    """Only one command at a time changes whether there is a cluster."""
    with places.COMMAND_LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Somebody else is starting or stopping the cluster; waiting ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
