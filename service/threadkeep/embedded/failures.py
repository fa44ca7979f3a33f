"""Why the embedded server did not do what it should, in one exception that a person can act on."""

from __future__ import annotations

import enum
import re
import shutil
from pathlib import Path

from typing_extensions import override

_FULL_BYTES = 1 << 20
"""Below this much free space a server that wrote nothing about it has still met a full disk."""


class Reason(enum.StrEnum):
    """What went wrong, for callers that react to it."""

    BROKEN = "broken"
    DISK_FULL = "disk_full"
    FAILED = "failed"
    IN_USE = "in_use"
    MISSING = "missing"
    PORT = "port"
    PRIVILEGES = "privileges"
    SOCKET = "socket"
    STOPPED = "stopped"
    TIMEOUT = "timeout"
    VERSION = "version"


class EmbeddedServerError(Exception):
    """The embedded PostgreSQL cannot be used; the text says why and ends with the server's log."""

    def __init__(self, reason: Reason, message: str, log: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.log = log

    @override
    def __str__(self) -> str:
        if not self.log:
            return self.message
        lines = "\n".join(f"  {line}" for line in self.log.splitlines())
        return f"{self.message}\nThe end of its log:\n{lines}"


_SIGNS = (
    (Reason.DISK_FULL, r"No space left on device|Check free disk space"),
    (Reason.PORT, r"Address already in use|could not create any TCP/IP sockets"),
    (Reason.VERSION, r"database files are incompatible with server"),
    (Reason.IN_USE, r'lock file "postmaster.pid" already exists|shared memory block .* in use'),
    (Reason.PRIVILEGES, r"Permission denied|has wrong ownership"),
    (Reason.BROKEN, r"pg_control|control file|checkpoint record|not a valid data directory|PANIC"),
)
_TEXTS = {
    Reason.BROKEN: "the data directory is damaged or not PostgreSQL's",
    Reason.DISK_FULL: "the disk is full",
    Reason.FAILED: "its log says why",
    Reason.IN_USE: "another PostgreSQL uses the data directory",
    Reason.PORT: "its port is taken by another program",
    Reason.PRIVILEGES: "it may not read or write its files",
    Reason.TIMEOUT: "it is too slow, or waits for something",
    Reason.VERSION: "the data directory was made by another version of PostgreSQL",
}


def explain(
    summary: str, *, log: str, folder: Path, otherwise: Reason = Reason.FAILED
) -> EmbeddedServerError:
    """The error for a server that failed: its reason as far as log and disk tell."""
    reason = next((reason for reason, sign in _SIGNS if re.search(sign, log)), otherwise)
    if not log and _is_full(folder):
        reason = Reason.DISK_FULL
    return EmbeddedServerError(reason, f"{summary}: {_TEXTS[reason]}.", log)


def _is_full(folder: Path) -> bool:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free < _FULL_BYTES
