"""Where a report was made: versions, commit, machine, and digests of the tests' sources."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[3]
_PACKAGES = ("threadkeep", "aiohttp", "asyncpg", "msgspec", "httpx", "websockets", "pytest")
_versions: dict[str, str] = {}


def note_version(name: str, version: str) -> None:
    """Remember the version of something that was reached, such as the database."""
    _versions[name] = version


def facts() -> dict[str, Any]:
    """What a reader needs to weigh the figures."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in _PACKAGES}
        | _versions,
        "machine": {
            "processors": os.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
            "load": [round(value, 2) for value in os.getloadavg()],
        },
    }


@functools.cache
def commit() -> str:
    """What was tested: a commit, with `+` when the tree had changes on top of it."""
    if given := os.environ.get("THREADKEEP_COMMIT"):
        return given
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def digest_of_sources(tests: Iterable[str]) -> str:
    """SHA-256 over the files that hold these tests."""
    digest = hashlib.sha256()
    for path in sorted({test.partition("::")[0] for test in tests}):
        source = ROOT / path
        digest.update(source.read_bytes() if source.exists() else b"")
    return digest.hexdigest()[:16]


def _git(*words: str) -> str:
    answer = subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, timeout=10, check=True
    )
    return answer.stdout.strip()
