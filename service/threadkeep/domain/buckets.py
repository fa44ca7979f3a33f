"""Token buckets: how fast somebody may do something, in one number per bucket."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Final

WINDOW: Final = 60.0
"""Seconds over which a limit per minute is spread; a full bucket holds one minute's worth."""

BUCKETS: Final = 50_000
"""Buckets kept at once, about 10 MB: those of users who were active in the last minute."""

_ROUNDING: Final = 1e-9
"""Seconds by which sums of floats may be off: waiting as long as was said must be enough."""


class Buckets:
    """Buckets by key. Each is only the time at which it will be full again.

    A bucket that is full need not be kept. When too many are not full, the fullest are
    forgotten, so that memory is bounded and the error is in the caller's favour.
    """

    def __init__(self, size: int = BUCKETS) -> None:
        self._size = size
        self._full_at: dict[Hashable, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: Hashable, per_minute: int, n: int, now: float) -> float:
        """Take `n` tokens: 0.0 when taken, else the seconds after which the same would succeed.

        More tokens than the bucket holds are given when it is full, and paid for afterwards:
        a large batch is slow, never impossible.
        """
        if wait := self.wait(key, per_minute, n, now):
            return wait
        self.charge(key, per_minute, n, now)
        return 0.0

    def wait(self, key: Hashable, per_minute: int, n: int, now: float) -> float:
        """What `take` would answer, without taking."""
        full_at = self._full_at.get(key, now)
        wait = max(full_at - now, 0.0) + min(n, per_minute) * WINDOW / per_minute - WINDOW
        return wait if wait > _ROUNDING else 0.0

    def charge(self, key: Hashable, per_minute: int, n: int, now: float) -> None:
        """Take `n` tokens whether they are there or not; a negative `n` gives some back."""
        full_at = max(self._full_at.get(key, now), now) + n * WINDOW / per_minute
        if full_at <= now:
            self._full_at.pop(key, None)
        else:
            self._put(key, full_at, now)

    def _put(self, key: Hashable, full_at: float, now: float) -> None:
        self._full_at[key] = full_at
        if len(self._full_at) > self._size:
            self._forget(now)

    def _forget(self, now: float) -> None:
        buckets = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        # A tenth at once, so that a flood of keys pays for this once in many calls.
        surplus = len(buckets) - self._size * 9 // 10
        if surplus > 0:
            for key in heapq.nsmallest(surplus, buckets, key=buckets.__getitem__):
                del buckets[key]
        self._full_at = buckets
