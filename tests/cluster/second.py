"""A second cluster, apart from the one that everybody uses: for tests that break a whole one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .local import places

_ROOT = Path(__file__).parents[2]
_SECONDS = 240.0


@dataclass(frozen=True)
class Second:
    """A cluster of another name in a network namespace, so that it may have the same addresses."""

    name: str = "tksecond"

    @property
    def state(self) -> Path:
        """Where it keeps what it makes."""
        return Path(f"/var/lib/{self.name}-cluster")

    @property
    def supervisor(self) -> int:
        """The process that all others belong to."""
        pid: int = json.loads((self.state / "status.json").read_text("utf-8"))["pid"]
        return pid

    def prepare(self) -> None:
        """Make the network that it lives in."""
        subprocess.run(("ip", "netns", "add", self.name), check=True)
        self.inside("ip", "link", "set", "lo", "up")

    def remove(self) -> None:
        """End it, and its network."""
        self.command("down")
        subprocess.run(("ip", "netns", "delete", self.name), check=True)

    def command(self, name: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the cluster's, which may fail."""
        return finished(self.begin(name, **environment))

    def begin(self, name: str, **environment: str) -> subprocess.Popen[str]:
        """Run a command of the cluster's without waiting for it."""
        return self._start(sys.executable, "-m", "tests.cluster.local", name, **environment)

    def kubectl(self, *arguments: str, text: str = "") -> str:
        """Run kubectl as its administrator; a failure is an error."""
        config = self.state / "admin.kubeconfig"
        return self.inside(
            str(places.LINKS / "kubectl"), f"--kubeconfig={config}", *arguments, text=text
        )

    def inside(self, *command: str, text: str = "") -> str:
        """Run a program in its network; a failure is an error."""
        done = finished(self._start(*command), text)
        assert done.returncode == 0, done.stdout
        return done.stdout

    @contextmanager
    def taken(self, port: int) -> Iterator[None]:
        """Somebody else listens on a port of all its addresses meanwhile."""
        program = (
            "import socket, sys; taken = socket.create_server(('', int(sys.argv[1])));"
            "print('taken', flush=True); sys.stdin.read()"
        )
        process = self._start(sys.executable, "-c", program, str(port))
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        yield
        finished(process)

    def processes(self) -> dict[str, int]:
        """The components that it noted, and their process ids."""
        files = (self.state / "pids").glob("*")
        return {each.name: int(each.read_text("ascii").split()[0]) for each in files}

    def events(self) -> str:
        """What its supervisor has told so far."""
        told = self.state / "events.log"
        return told.read_text("utf-8") if told.exists() else ""

    def _start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ("nsenter", f"--net=/run/netns/{self.name}", *command),
            cwd=_ROOT,
            env={
                **os.environ,
                "THREADKEEP_CLUSTER": self.name,
                "PYTHONWARNINGS": "default::ResourceWarning",
                **environment,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )


def finished(process: subprocess.Popen[str], text: str = "") -> subprocess.CompletedProcess[str]:
    """The end of a program, with all that it said."""
    with process:
        said, _ = process.communicate(text, timeout=_SECONDS)
    return subprocess.CompletedProcess(process.args, process.returncode, said)
