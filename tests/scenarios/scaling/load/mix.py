"""What a user does: 60 % post a message, 25 % read, 10 % update, 5 % create a thread."""

from __future__ import annotations

import random
from typing import Final, Literal

Operation = Literal["post", "read", "update", "create"]

WEIGHTS: Final[dict[Operation, int]] = {"post": 60, "read": 25, "update": 10, "create": 5}
PAGE: Final = 50
THREADS: Final = (2, 5)
"""Threads a user has at first, at least and at most."""


def operations(chance: random.Random, count: int) -> list[Operation]:
    """So many operations in the proportions of the mix."""
    return chance.choices(list(WEIGHTS), weights=list(WEIGHTS.values()), k=count)
