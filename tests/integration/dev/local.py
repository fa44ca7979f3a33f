"""`threadkeep dev` as a program of its own, started as people start it and ended in every way."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec
import psutil
from typing_extensions import override

from tests.support.programs import Program, free_port
from threadkeep.client import Message, Threadkeep
from threadkeep.embedded.processes import wait_ended


class Local(Program):
    """One `threadkeep dev` over a folder; without dialogues unless languages are named."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        data: Path | None = None,
        port: int | None = None,
        languages: str = "",
        name: str = "dev",
    ) -> None:
        super().__init__(name, folder)
        self.port = port or free_port()
        self.data = data or folder / "data"
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self._begin = 0
        self._options = [*options, *(["--languages", languages] if languages else ["--no-demo"])]

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def described(self) -> dict[str, Any]:
        """What `dev.json` says."""
        found: dict[str, Any] = msgspec.json.decode((self.data / "dev.json").read_bytes())
        return found

    @override
    def command(self) -> list[str]:
        place = ("--port", str(self.port), "--data", str(self.data))
        return [sys.executable, "-m", "threadkeep", "dev", *place, *self._options]

    @override
    def environment(self) -> dict[str, str]:
        return {**super().environment(), "TMPDIR": str(self.temporary)}

    @override
    def start(self, seconds: float = 150.0, *, wait: bool = True) -> None:
        # What it said before is no answer to this start.
        self._begin = self.log_path.stat().st_size if self.log_path.exists() else 0
        super().start(seconds, wait=wait)

    @override
    def output(self) -> str:
        """What it has said since it was started last."""
        if not self.log_path.exists():
            return ""
        return self.log_path.read_bytes()[self._begin :].decode()

    @override
    def is_ready(self) -> bool:
        return f"Threadkeep is ready on {self.url}" in self.output()

    def interrupt(self) -> None:
        """Ctrl-C: the terminal sends it to the whole group of processes."""
        os.killpg(self.pid, signal.SIGINT)

    def refusal(self, seconds: float = 150.0) -> tuple[int, str]:
        """Start it where it cannot run: its exit code and what it said last."""
        self.start(wait=False)
        code = self.wait(seconds)
        return code, self.output().splitlines()[-1]

    def family(self) -> list[psutil.Process]:
        """Its process and all that it has started: the server's and the service's."""
        return self._tree()

    def client(self, user: str = "alice") -> Threadkeep:
        """A client of one of its users, by what `dev.json` says; not open yet."""
        described = self.described
        return Threadkeep(described["url"], token=described["users"][user])


def survivors(family: list[psutil.Process], seconds: float = 15.0) -> list[psutil.Process]:
    """Those that have not ended in time."""
    assert len(family) > 5, "this is no whole family"
    return wait_ended(family, seconds=seconds)


async def texts_of(client: Threadkeep, thread: str) -> list[str]:
    """All messages of a thread."""
    entries = client.entries(thread, kinds=["message"])
    return [entry.payload.text async for entry in entries if isinstance(entry, Message)]


def left_in(folder: Path) -> list[str]:
    """Names of what is in a folder."""
    return sorted(path.name for path in folder.iterdir())
