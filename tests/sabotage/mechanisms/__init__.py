"""How to break a mechanism: in the process of the service, or in a database of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

Break = Callable[[], None]

BREAKS: Final[dict[str, Break]] = {}
"""Name → what breaks the mechanism in this process."""


def breaks(name: str) -> Callable[[Break], Break]:
    """Register what breaks a mechanism."""

    def register(function: Break) -> Break:
        BREAKS[name] = function
        return function

    return register


def put(place: object, name: str, value: object) -> None:
    """Replace something of the product; it must be there."""
    assert hasattr(place, name), f"{place} has no {name} any more"
    setattr(place, name, value)
