"""Programs that builds run: their output goes to a log, whose end is shown when one fails."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_TAIL_LINES: Final = 30


class BuildError(Exception):
    """An image could not be built; the message says what failed and shows the end of its log."""


class MissingBuilderError(BuildError):
    """Nothing on this machine builds images."""


def run(arguments: Sequence[str | Path], log: Path, *, seconds: float = 1800.0) -> None:
    """Run a program to its end, within `seconds`; its output is appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        try:
            code = subprocess.run(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired as exc:
            raise BuildError(f"{arguments[0]} took more than {seconds:g} s; see {log}") from exc
    if code:
        lines = log.read_text("utf-8", "replace").splitlines()[-_TAIL_LINES:]
        raise BuildError(
            f"{arguments[0]} ended with {code}; the end of {log}:\n" + "\n".join(lines)
        )


def answer(*arguments: str | Path, seconds: float = 60.0) -> str | None:
    """What a program prints, without the last line's end; None when it fails or is missing."""
    try:
        ended = subprocess.run(
            arguments, capture_output=True, text=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ended.stdout.rstrip("\n") if ended.returncode == 0 else None


class Step:
    """Tells what is being done and, when it is, how long it took."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._begun = time.monotonic()
        print(f"  {what} …", flush=True)

    def done(self, result: str = "") -> None:
        """Say so."""
        seconds = time.monotonic() - self._begun
        print(f"  {self._what}: {seconds:.0f} s{result and ', '}{result}", flush=True)
