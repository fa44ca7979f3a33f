"""Metrics of sockets and streams: counted in plain integers, handed over once a second."""

from __future__ import annotations

from collections import Counter as Tally
from typing import Final

from prometheus_client import Counter

from threadkeep import metrics

_FRAMES: Final = Counter(
    "threadkeep_socket_frames",
    "Data frames of sockets",
    ["direction"],
    registry=metrics.REGISTRY,
)
_BYTES: Final = Counter(
    "threadkeep_socket_bytes",
    "Bytes of sockets: payload of what came in, frames that went out",
    ["direction"],
    registry=metrics.REGISTRY,
)
_COMMANDS: Final = Counter(
    "threadkeep_socket_commands", "Commands by type", ["type"], registry=metrics.REGISTRY
)
_CLOSED: Final = Counter(
    "threadkeep_socket_closed",
    "Sockets closed, by close code",
    ["code"],
    registry=metrics.REGISTRY,
)
_EVENTS: Final = Counter(
    "threadkeep_stream_events", "Events sent over SSE", registry=metrics.REGISTRY
)
SLOW: Final = Counter(
    "threadkeep_slow_consumers",
    "Connections closed because their reader did not keep up",
    ["transport"],
    registry=metrics.REGISTRY,
)


class Totals:
    """What has happened since the last report; a counter of its own per frame would cost more."""

    def __init__(self) -> None:
        self.frames_in = 0
        self.frames_out = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.events = 0
        self.commands: Tally[str] = Tally()
        self.closed: Tally[int] = Tally()

    def report(self) -> None:
        """Add everything to the metrics and begin anew."""
        _FRAMES.labels("in").inc(self.frames_in)
        _FRAMES.labels("out").inc(self.frames_out)
        _BYTES.labels("in").inc(self.bytes_in)
        _BYTES.labels("out").inc(self.bytes_out)
        _EVENTS.inc(self.events)
        for name, count in self.commands.items():
            _COMMANDS.labels(name).inc(count)
        for code, count in self.closed.items():
            _CLOSED.labels(str(code)).inc(count)
        self.__init__()  # type: ignore[misc]  # all fields begin anew, none can be forgotten
