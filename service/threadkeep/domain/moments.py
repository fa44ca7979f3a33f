"""Times that callers give."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from threadkeep.errors import InvalidRequest

_EARLIEST: Final = datetime(1, 1, 2, tzinfo=UTC)
_LATEST: Final = datetime(9999, 12, 30, tzinfo=UTC)
"""Within these a time exists in every zone; beyond, an offset leads out of the calendar."""


def check(at: datetime, *, field: str) -> datetime:
    """The same time; raises `InvalidRequest` for one that cannot be kept."""
    if not _EARLIEST <= at <= _LATEST:
        raise InvalidRequest("A time lies in the years 1 to 9999.", field=field)
    return at
