"""Whether tests run in one process or on two sides, as `beside` has it."""

from __future__ import annotations

import pytest


def is_side(config: pytest.Config) -> bool:
    """Whether this process runs one side only, and another one tells of it."""
    return hasattr(config, "workerinput")
