"""What the generator is told, and what it answers."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

Kind = Literal["people", "sockets", "burst"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One level of load."""

    kind: Kind
    urls: list[str]
    bearer: str
    """An API key that acts for any user."""
    users: int
    operations: int
    """Of each user."""
    pause: tuple[float, float] = (0.05, 0.2)
    """Seconds between two operations of a user, evenly spread."""
    seed: int = 1
    is_checked: bool = True
    """Whether what was acknowledged is read again afterwards."""
    threads: list[str] = field(default_factory=list)
    """Of a burst: what it reads and writes."""


@dataclass(frozen=True)
class Place:
    """An address of the service as a connection needs it."""

    host: str
    port: int
    is_secure: bool

    @classmethod
    def of(cls, url: str) -> Place:
        """From an URL."""
        parts = urlsplit(url)
        is_secure = parts.scheme == "https"
        return cls(parts.hostname or "", parts.port or (443 if is_secure else 80), is_secure)


@dataclass
class Seen:
    """What all users saw together."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Kind of operation → time of each that succeeded."""
    errors: Counter[str] = field(default_factory=Counter)
    """Operations that did not, by status or by how the connection ended."""
    delivered: list[float] = field(default_factory=list)
    """Seconds from sending a message to the frame that tells of it."""
    wrong: Counter[str] = field(default_factory=Counter)
    """What must never happen: lost, doubled, foreign, gaps."""
    acknowledged: int = 0
    """Messages."""
    wall: float = 0.0
    """Seconds from the first operation to the last answer."""
    cpu: float = 0.0
    """Share of one processor that the generator itself took."""
    lag: float = 0.0
    """Seconds by which the generator was late for itself, P99."""

    def as_dict(self) -> dict[str, Any]:
        """For standard output."""
        return vars(self)
