"""When to try again: full jitter, the service's own hints, and an end."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long and how often something is tried again. All times are in seconds."""

    total_seconds: float = 30.0
    """After this an operation fails, whatever it was waiting for."""
    attempt_seconds: float = 10.0
    """How long one attempt may take."""
    first_pause: float = 0.1
    """Upper end of the first pause; it doubles with every attempt."""
    longest_pause: float = 5.0
    offline_seconds: float = 300.0
    """A subscription that cannot be resumed for so long fails."""

    def pause(self, attempt: int, hint: float | None = None) -> float:
        """The pause before attempt number `attempt`, the first one being 0.

        Full jitter, so that many clients do not come back in step; a hint of the service is a
        minimum, and the jitter comes on top.
        """
        ceiling = min(self.longest_pause, self.first_pause * 2 ** min(attempt, 16))
        return (hint or 0.0) + random.uniform(0.0, ceiling)  # noqa: S311 - spreads load, guards nothing
