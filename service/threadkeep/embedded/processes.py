"""Starting processes that end with us, waiting for others, and ending a whole tree of them."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO

import psutil

# Linux takes the end of the thread that started a process for the death of its parent, so one
# thread, which ends with this process, starts them all.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")


def spawn(
    command: Sequence[str], *, environment: Mapping[str, str], log: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, from any thread; both its outputs go to `log`."""

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd="/",
            # Ctrl-C is the owner's to handle: he decides what ends first.
            start_new_session=True,
        )

    return _starter.submit(start).result()


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
