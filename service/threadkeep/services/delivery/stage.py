"""What all parts of delivery in one process share."""

from __future__ import annotations

from dataclasses import dataclass

from threadkeep.services.delivery.tasks import Tasks
from threadkeep.storage.database import Database


@dataclass(slots=True)
class Counts:
    """What delivery has done in this process; metrics read it."""

    subscriptions: int = 0
    """Open now, threads' and users' together."""
    joins: int = 0
    forks: int = 0
    """Threads whose history was found replaced while they were subscribed."""
    pumps: int = 0
    """Times that entries were read from the log because they had not come by themselves."""
    repairs: int = 0
    """Threads that had grown unnoticed until the sweep found it."""
    sweeps: int = 0
    failures: int = 0
    """Reads and sweeps that failed and were left to the next sweep."""
    sink_failures: int = 0
    delivered: int = 0
    """Entries times their live subscribers."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What all feeds of a process share."""

    database: Database
    counts: Counts
    tasks: Tasks
