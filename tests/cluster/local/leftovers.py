"""What a cluster leaves when it is killed: found, named, and cleaned away.

Must not run while a supervisor lives; whoever calls holds its lock.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from . import cgroups, network, places, processes
from .commands import succeeds
from .failures import ClusterError
from .nodes import NODES
from .processes import Process

_ATTEMPTS = 5
_LINKS_TO_LOGS = Path("/var/log/containers")


def find() -> list[str]:
    """Everything of a cluster that exists now, in words."""
    alive = [f"{name} ({each.pid})" for name, each in processes.recorded().items() if each.is_alive]
    shims = [f"container runtime of a pod ({each.pid})" for each in _shims()]
    mounts = [f"mount {each}" for each in _mounts()]
    folders = [str(each) for each in (places.RUN, places.STATE) if each.exists()]
    return alive + shims + mounts + network.leftovers() + cgroups.leftovers() + folders


def clean(*, keep_logs: bool = False) -> None:
    """End all processes of the cluster and remove what it made; idempotent."""
    _end_processes()
    _remove_shim_sockets()
    _unmount()
    network.remove()
    cgroups.remove()
    for link in _LINKS_TO_LOGS.glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(places.STATE):
            link.unlink(missing_ok=True)
    shutil.rmtree(places.RUN, ignore_errors=True)
    if not places.STATE.exists():
        return
    for each in places.STATE.iterdir():
        if keep_logs and each in {places.LOGS, places.STATUS, places.EVENTS}:
            continue
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()
    if not keep_logs:
        places.STATE.rmdir()


def end_pods(*nodes: str) -> None:
    """Kill everything that runs in pods of these nodes, as a loss of power would."""
    chosen = [each for each in NODES if each.name in nodes]
    for _ in range(_ATTEMPTS):
        pids = {pid for node in chosen for pid in cgroups.processes(node)}
        inside = [each for pid in pids if (each := Process.of(pid)) is not None]
        shims = [each for node in chosen for each in processes.mentioning(str(node.containerd))]
        if not inside + shims:
            return
        if survivors := processes.kill(shims + inside):
            raise ClusterError(f"processes of pods survive being killed: {survivors}")
    raise ClusterError("pods start new processes as fast as they are killed")


def _end_processes() -> None:
    # Killed, not asked: what they would write on their way out is removed anyway.
    survivors = processes.kill(processes.recorded().values())
    if survivors:
        raise ClusterError(f"processes of the cluster survive being killed: {survivors}")
    end_pods(*(node.name for node in NODES))


def _shims() -> list[Process]:
    return [each for node in NODES for each in processes.mentioning(str(node.containerd))]


def _remove_shim_sockets() -> None:
    # containerd keeps them outside its own folders and notes where, beside each container.
    for note in places.RUN.glob("*/containerd/io.containerd.runtime.v2.task/*/*/address"):
        with contextlib.suppress(OSError):
            Path(note.read_text("utf-8").removeprefix("unix://").strip()).unlink()


def _mounts() -> list[Path]:
    found = []
    for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines():
        target = Path(line.split()[4].encode().decode("unicode_escape"))
        if any(target.is_relative_to(each) for each in (places.STATE, places.RUN)):
            found.append(target)
    return found


def _unmount() -> None:
    for target in reversed(_mounts()):
        if not succeeds("umount", str(target)):
            succeeds("umount", "--lazy", str(target))
    if left := _mounts():
        raise ClusterError(f"still mounted: {', '.join(map(str, left))}")
