"""What is broken, and what must turn red; those that wait longest come first."""

from __future__ import annotations

from typing import Final

from . import access, continuity, delivery, scaling, threads, times
from .shape import Control, Red

__all__ = ["CONTROLS", "Control", "Red"]

CONTROLS: Final = [
    *scaling.CONTROLS,
    *continuity.CONTROLS,
    *threads.CONTROLS,
    *times.CONTROLS,
    *access.CONTROLS,
    *delivery.CONTROLS,
]
