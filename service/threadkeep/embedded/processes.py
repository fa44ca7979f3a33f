"""Processes that are not our children: waiting for their end, and ending a whole tree of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

import psutil


def has_ended(process: psutil.Process) -> bool:
    """Whether it runs no more. A zombie does not: in a container nobody may ever collect it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_ended(processes: Sequence[psutil.Process], *, seconds: float) -> list[psutil.Process]:
    """Wait until all have ended; returns those that have not after `seconds`."""
    deadline = time.monotonic() + seconds
    alive = list(processes)
    while (alive := [each for each in alive if not has_ended(each)]) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.005)
    return alive


def kill_tree(root: psutil.Process, *, seconds: float) -> list[psutil.Process]:
    """Kill -9 a process and its descendants; returns those that have not ended in time."""
    tree = [root]
    with contextlib.suppress(psutil.NoSuchProcess):
        # Stopped first, so that it cannot fork between the listing and the kill.
        root.suspend()
        tree += root.children(recursive=True)
    for process in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return wait_ended(tree, seconds=seconds)
