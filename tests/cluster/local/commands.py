"""Running programs of the operating system to their end."""

from __future__ import annotations

import os
import subprocess

from .failures import ClusterError

PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
"""Debian keeps `nft` and `ip` where not everybody's PATH leads."""
_SECONDS = 60.0


def run(*command: str, text: str | None = None, seconds: float = _SECONDS) -> str:
    """Standard output; a failure is an error with what the program said."""
    done = _run(command, text, seconds)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise ClusterError(f"{' '.join(command)} ended with {done.returncode}: {said}")
    return done.stdout


def succeeds(*command: str) -> bool:
    """Whether it ends well; what it says is dropped."""
    return _run(command, None, _SECONDS).returncode == 0


def _run(
    command: tuple[str, ...], text: str | None, seconds: float
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            input=text,
            stdin=None if text is not None else subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=seconds,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8"},
        )
    except FileNotFoundError as exc:
        raise ClusterError(f"{command[0]} is not installed") from exc
    except subprocess.TimeoutExpired as exc:
        raise ClusterError(f"{' '.join(command)} did not end within {seconds:g} s") from exc
