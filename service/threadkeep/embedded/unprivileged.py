"""How a server that refuses to run as root is started by root.

A user namespace first: the program sees an ordinary user while files stay the caller's. Where the
kernel forbids that, a real unprivileged user, whose files must then belong to him.
"""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_USERS = ("postgres", "nobody")
_PROBE_SECONDS = 5.0


class UnprivilegedError(Exception):
    """Started by root, and nothing here can start a program as somebody else."""


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """Words put before a command, and the owner its files need."""

    prefix: tuple[str, ...] = ()
    owner: tuple[int, int] | None = None
    """User and group id; `None` when the caller's own files will do."""

    def command(self, *words: str | Path, parent_death: str = "KILL") -> list[str]:
        """The command to start; the program gets the signal `parent_death` when we are gone."""
        return [*self.prefix, *_parent_death(parent_death), *map(str, words)]

    def give(self, path: Path) -> None:
        """Make a file or folder usable by the started program."""
        if self.owner is not None:
            os.chown(path, *self.owner)


def launcher() -> Launcher:
    """The way that works here; `UnprivilegedError` when there is none."""
    if os.geteuid() != 0:
        return Launcher()
    return _for_root()


@functools.cache
def _for_root() -> Launcher:
    if unshare := shutil.which("unshare"):
        prefix = (unshare, "--user", "--map-user=1000", "--map-group=1000", "--")
        if _works(prefix):
            return Launcher(prefix=prefix)
    return _as_another_user()


def _as_another_user() -> Launcher:
    if setpriv := shutil.which("setpriv"):
        for name in _USERS:
            try:
                user = pwd.getpwnam(name)
            except KeyError:
                continue
            prefix = (
                setpriv,
                f"--reuid={user.pw_uid}",
                f"--regid={user.pw_gid}",
                "--clear-groups",
                "--",
            )
            if _works(prefix):
                return Launcher(prefix=prefix, owner=(user.pw_uid, user.pw_gid))
    raise UnprivilegedError(
        "PostgreSQL does not run as root, and neither `unshare` nor `setpriv` (package util-linux) "
        "can start it as another user here. Start Threadkeep as an ordinary user."
    )


def _works(prefix: tuple[str, ...]) -> bool:
    result = subprocess.run(
        [*prefix, "true"], capture_output=True, timeout=_PROBE_SECONDS, check=False
    )
    return result.returncode == 0


@functools.cache
def _parent_death(signal: str) -> tuple[str, ...]:
    # After the prefix: the kernel forgets the signal when a process changes its user.
    setpriv = shutil.which("setpriv")
    return (setpriv, f"--pdeathsig={signal}", "--") if setpriv else ()
