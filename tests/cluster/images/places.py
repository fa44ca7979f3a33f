"""Where builds keep things: one cache for all checkouts of a user."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

CACHE: Final = Path.home() / ".cache" / "threadkeep" / "images"
"""Archives, bases, logs and the builder's own storage; may be removed at any time."""

LOGS: Final = CACHE / "logs"


@contextmanager
def locked() -> Iterator[None]:
    """One build at a time; others wait."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("  somebody else builds images; waiting …", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
