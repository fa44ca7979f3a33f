"""What a test needs and this machine may lack: skipped and listed, or failed if it is required.

`THREADKEEP_TEST_REQUIRE=postgres,redis` names what must be there; with `CI=true` everything must.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

KINDS = (
    *("postgres", "redis", "pgbouncer", "service", "chromium", "helm", "images", "cluster"),
    *("admin_dsn", "faults", "database", "network"),
)
_SYSTEM_FOLDERS = ("/usr/sbin", "/sbin")  # not on everybody's PATH on Debian


def missing(kind: str, reason: str) -> NoReturn:
    """End the test for the lack of a resource."""
    if _must_be_there(kind):
        pytest.fail(f"{kind} is missing: {reason}", pytrace=False)
    pytest.skip(f"{kind}: {reason}")


def program(kind: str, name: str, *, package: str) -> str:
    """The path of an installed program."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS])
    found = shutil.which(name, path=path)
    if found is None:
        missing(kind, f"{name} is not installed (apt-get install {package})")
    return found


def is_readable_by_all(path: Path) -> bool:
    """Whether every user can get to a file: each folder above it lets others pass."""
    return all(each.stat().st_mode & 0o001 for each in (path, *path.parents))


def unknown_kinds() -> list[str]:
    """Names in THREADKEEP_TEST_REQUIRE that mean nothing: a typing error would require nothing."""
    return sorted(_required() - set(KINDS))


def _must_be_there(kind: str) -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true"} or kind in _required()


def _required() -> set[str]:
    names = os.environ.get("THREADKEEP_TEST_REQUIRE", "").split(",")
    return {name.strip() for name in names if name.strip()}
