"""What a socket may do and for how long, and the codes with which it is closed."""

from __future__ import annotations

from time import monotonic
from typing import Final

PING_SECONDS: Final = 25.0
PONG_SECONDS: Final = 10.0
"""A socket from which nothing was heard so long after a ping is gone."""
CLOSE_SECONDS: Final = 5.0
"""Time for the peer to answer a close frame, and for a slow reader to read that far."""
HARD_BYTES: Final = 4 * 1024 * 1024
"""A frame is refused above `limits.FRAME_BYTES` and the socket stays open; above this it cannot
be skipped without being kept, and the socket is closed with 1009."""
COMMANDS_IN_FLIGHT: Final = 64
"""Appends of one socket that wait for their commit; beyond, the socket is not read."""
STRIKES: Final = 20
"""So many bad frames, or commands over a limit, …"""
STRIKES_SECONDS: Final = 10.0
"""… within this time close the socket."""

NORMAL: Final = 1000
ABNORMAL: Final = 1006
ABUSE: Final = 1008
RESTARTING: Final = 1012
UNAUTHENTICATED: Final = 4401
DISABLED: Final = 4403
SLOW_CONSUMER: Final = 4408
TOO_MANY: Final = 4429


class Strikes:
    """Counts misbehaviour within a window of time."""

    __slots__ = ("_begun", "_count")

    def __init__(self) -> None:
        self._begun = 0.0
        self._count = 0

    def add(self) -> bool:
        """Count one more; True when it was one too many."""
        now = monotonic()
        if now - self._begun > STRIKES_SECONDS:
            self._begun, self._count = now, 0
        self._count += 1
        return self._count >= STRIKES
