"""Wake-ups that reach no other process."""

from __future__ import annotations

from typing_extensions import override

from threadkeep.storage.wakeups.base import OnWake, Wakeups


class ProcessWakeups(Wakeups):
    """For a single process: it publishes to its own subscribers and tells nobody else."""

    name = "process"

    @override
    def start(self, on_wake: OnWake) -> None:
        """Nothing is ever heard."""

    @override
    def send(self, tenant: str, thread: str, seq: int) -> None:
        """Nobody is told."""

    @override
    def hint(self, tenant: str, thread: str, kind: str) -> None:
        """Nobody is told."""


class NoWakeups(ProcessWakeups):
    """Every wake-up is lost, also those within the process: only the sweep delivers."""

    name = "none"
    is_silent = True

    @override
    def send(self, tenant: str, thread: str, seq: int) -> None:
        self.dropped += 1

    @override
    def hint(self, tenant: str, thread: str, kind: str) -> None:
        self.dropped += 1
