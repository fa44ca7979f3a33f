"""The control groups that hold all pods of a node."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from .nodes import NODES, Node

_ROOT = Path("/sys/fs/cgroup")


def is_unified() -> bool:
    """Whether the machine has control groups of version 2 alone."""
    return (_ROOT / "cgroup.controllers").exists()


def create(node: Node) -> None:
    """The node's group, below every controller where each has a tree of its own."""
    for hierarchy in _hierarchies():
        group = hierarchy / node.name
        group.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            # A new cpuset of version 1 is empty, and nothing can run in it.
            if not is_unified() and (hierarchy / name).exists():
                (group / name).write_text((hierarchy / name).read_text("ascii"), "ascii")
        if (group / "cpu.shares").exists():
            # As the kubelet gives a node that is a machine; the default is that of one processor.
            (group / "cpu.shares").write_text(str(1024 * (os.cpu_count() or 1)), "ascii")


def processes(node: Node) -> set[int]:
    """All processes in pods of this node."""
    found: set[int] = set()
    for group in _groups_of(node):
        with contextlib.suppress(OSError):  # removed meanwhile
            found.update(int(each) for each in (group / "cgroup.procs").read_text("ascii").split())
    return found


def leftovers() -> list[str]:
    """The groups of nodes that exist now."""
    return sorted({f"control groups of {node.name}" for node in NODES if any(_groups_of(node))})


def remove() -> None:
    """Remove the groups; their processes must have ended."""
    # The deepest first: a control group goes only without children.
    for group in sorted(_groups(), key=lambda each: len(each.parts), reverse=True):
        with contextlib.suppress(OSError):  # still busy: reported as a leftover next time
            group.rmdir()


def _groups() -> Iterator[Path]:
    for node in NODES:
        yield from _groups_of(node)


def _groups_of(node: Node) -> Iterator[Path]:
    for hierarchy in _hierarchies():
        # Unlike Path.rglob it takes no offence at groups that go while it looks.
        for folder, _, _ in os.walk(hierarchy / node.name):
            yield Path(folder)


def _hierarchies() -> list[Path]:
    if is_unified():
        return [_ROOT]
    return sorted({each.resolve() for each in _ROOT.iterdir() if (each / "cgroup.procs").exists()})
