"""The parent of all components: starts them in order, keeps them running, ends them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time
import traceback
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from . import (
    containerd,
    control_plane,
    dns,
    image,
    kubeconfigs,
    kubelets,
    leftovers,
    network,
    places,
    processes,
    volumes,
)
from .components import Component
from .failures import ClusterError, ComponentError
from .nodes import NODES

_PAUSE = 0.1
_PRECEDENCE = Path("/proc/self/autogroup")
_NICENESS = -10
_HOLD_TRIES, _HOLD_PAUSE = 40, 0.05
_RESTARTS = 5
"""So many ends of one component within `_RESTART_SECONDS` are a failure, not an accident."""
_RESTART_SECONDS = 60.0


@dataclass
class _Running:
    component: Component
    process: subprocess.Popen[bytes]
    ends: deque[float] = field(default_factory=lambda: deque(maxlen=_RESTARTS))
    is_down: bool = False
    """True from its end until it is started again, the later the more often it has ended."""

    def end(self) -> None:
        """Note that it has ended."""
        self.ends.append(time.monotonic())
        self.is_down = True
        if len(self.ends) == _RESTARTS and self.ends[-1] - self.ends[0] < _RESTART_SECONDS:
            name, log = self.component.name, self.component.log
            how = f"ended with {self.process.returncode} again and again"
            raise ComponentError(name, how, log)

    def is_due(self) -> bool:
        """Whether it may be started again: at once after the first end, seconds after others."""
        return time.monotonic() - self.ends[-1] >= len(self.ends) - 1


class Supervisor:
    """One cluster, from its start to its end; `run` returns when it is gone."""

    def __init__(self) -> None:
        self._running: dict[str, _Running] = {}
        self._is_ending = False
        self._started = time.monotonic()

    def run(self) -> int:
        """Start the cluster and keep it until a signal; 0 if nothing went wrong."""
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        self._note("starting")
        problem = ""
        try:
            self._start()
            self._note("ready")
            self._say(f"The cluster is ready after {time.monotonic() - self._started:.0f} s.")
            self._watch()
        except ClusterError as exc:
            problem = str(exc)
        except Exception:  # noqa: BLE001  # whatever it is, `up` shows it and nothing is left over
            problem = traceback.format_exc()
        self._stop(keep_logs=bool(problem))
        if problem:
            self._note("failed", problem)
        return 1 if problem else 0

    def _start(self) -> None:
        network.prepare()
        identities = control_plane.Identities.create()
        kubeconfigs.write(
            places.KUBECONFIG,
            authority=identities.authority.pair.certificate,
            pair=identities.admin,
        )
        etcd, api_server, *controllers = control_plane.components(identities)
        for node in NODES:
            node.folder.mkdir(parents=True)
        parts = [kubelets.components(node, identities) for node in NODES]
        self._start_stage(etcd, *(runtime for runtime, *_ in parts))
        archive = places.STATE / "tool.tar"
        image.write(places.BUILT / "tool", archive)
        for node in NODES:
            containerd.load(node, archive, [image.NAME])
        self._start_stage(api_server)
        for path, manifest in [*dns.manifests(), *volumes.manifests()]:
            identities.api.create(path, manifest)
        self._start_stage(
            *controllers,
            *(each for _, *others in parts for each in others),
            dns.component(identities),
            volumes.component(identities),
        )

    def _start_stage(self, *components: Component) -> None:
        self._say(f"Starting {', '.join(each.name for each in components)} ...")
        for each in components:
            self._running[each.name] = _Running(each, _spawn(each))
        deadlines = {each.name: time.monotonic() + each.seconds for each in components}
        waiting = list(components)
        while waiting and not self._is_ending:
            waiting = [each for each in waiting if not self._is_ready(each)]
            for each in waiting:
                if time.monotonic() > deadlines[each.name]:
                    raise ComponentError(
                        each.name, f"was not ready within {each.seconds:g} s", each.log
                    )
            time.sleep(_PAUSE if waiting else 0)

    def _is_ready(self, component: Component) -> bool:
        # An accident while starting is one: two kubelets that begin at the same moment take the
        # same socket from each other, whose path is fixed in them (its device manager's).
        running = self._running[component.name]
        self._tend(running)
        return running.process.poll() is None and component.is_ready()

    def _watch(self) -> None:
        while not self._is_ending:
            for each in self._running.values():
                self._tend(each)
            time.sleep(_PAUSE)

    def _tend(self, running: _Running) -> None:
        """Make what runs agree with what should: tests stop components by a file."""
        component, is_alive = running.component, running.process.poll() is None
        if component.stopped.exists():
            if is_alive:
                self._say(f"Killing {component.name}, as told ...")
                running.process.kill()
                running.process.wait()
                processes.forget(component.name)
            running.ends.clear()
            running.is_down = False
            return
        if is_alive:
            return
        if not running.is_down:
            running.end()
            how = f"ended with {running.process.returncode}"
            self._say(f"{component.name} {how}; starting it again.")
        if running.is_due():
            running.process = _spawn(component)
            running.is_down = False

    def _stop(self, *, keep_logs: bool) -> None:
        self._say("Stopping ...")
        for each in reversed(self._running.values()):
            each.process.kill()
            each.process.wait()
            processes.forget(each.component.name)
        leftovers.clean(keep_logs=keep_logs)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self._is_ending = True

    def _note(self, phase: str, problem: str = "") -> None:
        started_from = str(Path.cwd())
        status = {"phase": phase, "pid": os.getpid(), "problem": problem, "from": started_from}
        made = places.STATUS.with_suffix(".new")
        made.write_text(json.dumps(status), "utf-8")
        made.rename(places.STATUS)

    def _say(self, text: str) -> None:
        with places.EVENTS.open("a", encoding="utf-8") as events:
            events.write(f"{text}\n")


def main() -> int:
    """Run a supervisor unless one runs; its lock goes with it, however it ends."""
    with places.LOCK.open("a", encoding="ascii") as lock:
        _hold(lock)
        _take_precedence()
        return Supervisor().run()


def _hold(lock: IO[str]) -> None:
    # Who asks whether one lives holds the lock for a moment, too.
    for _ in range(_HOLD_TRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_HOLD_PAUSE)
    raise SystemExit(f"Another supervisor holds {places.LOCK}.")


def is_alive() -> bool:
    """Whether a supervisor lives; anybody may ask."""
    try:
        lock = places.LOCK.open(encoding="ascii")
    except FileNotFoundError:
        return False
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _take_precedence() -> None:
    """Go before the sessions of tests: a heartbeat that comes late is a node that failed."""
    with contextlib.suppress(OSError):  # a kernel without it shares by process
        _PRECEDENCE.write_text(f"{_NICENESS}\n", "ascii")
    os.nice(_NICENESS)


def _spawn(component: Component) -> subprocess.Popen[bytes]:
    places.LOGS.mkdir(parents=True, exist_ok=True)
    with component.log.open("ab") as log:
        process = subprocess.Popen(
            component.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={"PATH": os.defpath, "HOME": "/root", **component.environment},
            # A group, so that no terminal's signal reaches it; the session, and with it the share
            # of the processor, is the supervisor's.
            process_group=0,
        )
    processes.record(component.name, process.pid)
    return process
