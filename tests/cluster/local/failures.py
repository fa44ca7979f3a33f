"""What can go wrong with the cluster, told so that somebody can act."""

from __future__ import annotations

from pathlib import Path

_TAIL_LINES = 30


class ClusterError(Exception):
    """The cluster cannot do what was asked; the message is for people."""


class ComponentError(ClusterError):
    """A component ended or did not become ready; the message holds the end of its log."""

    def __init__(self, component: str, problem: str, log: Path) -> None:
        super().__init__(f"{component} {problem}. The end of {log}:\n{tail(log)}")
        self.component = component


def tail(log: Path, lines: int = _TAIL_LINES) -> str:
    """The last lines of a log, indented."""
    if not log.exists():
        return "  (no log)"
    last = log.read_text("utf-8", "replace").splitlines()[-lines:]
    return "\n".join(f"  {line}" for line in last) or "  (empty)"
