"""Keyset windows over ids, and conflicts of unique names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import asyncpg

from threadkeep.errors import Conflict


@dataclass(frozen=True, slots=True)
class Window:
    """Up to `limit` rows after one id, or the last ones before one."""

    limit: int
    after: str | None = None
    before: str | None = None

    @property
    def is_backward(self) -> bool:
        """Whether the rows nearest to `before` are wanted."""
        return self.before is not None


@contextmanager
def refuse_taken(message: str) -> Iterator[None]:
    """Turn a broken unique constraint into `Conflict`."""
    try:
        yield
    except asyncpg.UniqueViolationError as exc:
        raise Conflict(message) from exc
