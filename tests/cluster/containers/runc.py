"""Containers from image archives, by runc alone: as restricted as a pod may be.

The root file system is read-only, no capability is left, and new privileges are refused. The
network is this machine's, so that tests reach a server on a free port.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

TEMPORARY: Final = "/tmp"  # noqa: S108 - the container's own
SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108 - the container's own
_STATE: Final = "/run/threadkeep-containers"
_SECONDS: Final = 60.0
_NAMESPACES: Final = ("pid", "ipc", "uts", "mount")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """An image as files and settings."""

    root: Path
    settings: Mapping[str, Any]
    """User, Env, Entrypoint, Cmd, Labels … of the image."""

    @property
    def ids(self) -> tuple[int, int]:
        """User and group, as numbers."""
        user, group = self.settings["User"].split(":")
        return int(user), int(group)


def unpack(archive: Path, folder: Path) -> Unpacked:
    """Lay the layers of an archive over one another in `folder`."""
    root = folder / "root"
    root.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=folder) as parts:
        with tarfile.open(archive) as file:
            file.extractall(parts, filter="data")
        manifest = json.loads((Path(parts) / "manifest.json").read_text("utf-8"))[0]
        settings = json.loads((Path(parts) / manifest["Config"]).read_text("utf-8"))["config"]
        for layer in manifest["Layers"]:
            command = ["tar", "--extract", "--file", Path(parts) / layer, "--directory", root]
            subprocess.run(command, check=True, timeout=_SECONDS)
    assert not list(root.rglob(".wh.*")), "a layer removes what another brought: not laid out here"
    return Unpacked(root=root, settings=settings)


class Container:
    """One container; its processes end with it."""

    def __init__(
        self,
        image: Unpacked,
        folder: Path,
        *,
        arguments: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        volumes: Mapping[str, Path] | None = None,
        memory: Sequence[str] = (TEMPORARY,),
    ) -> None:
        """`arguments` replace the image's own; `volumes` are writable, `memory` is tmpfs."""
        self.name = f"tk-{secrets.token_hex(6)}"
        self._image = image
        self._bundle = folder / self.name
        self._bundle.mkdir()
        self.log_path = self._bundle / "log"
        self._process: subprocess.Popen[bytes] | None = None
        command = image.settings["Cmd"] if arguments is None else arguments
        user, group = image.ids
        specification = {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": user, "gid": group},
                "args": [*(image.settings.get("Entrypoint") or ()), *command],
                "env": [
                    *image.settings["Env"],
                    *(f"{name}={value}" for name, value in (environment or {}).items()),
                ],
                "cwd": image.settings.get("WorkingDir") or "/",
                "capabilities": {},
                "noNewPrivileges": True,
            },
            "root": {"path": str(image.root), "readonly": True},
            "mounts": [
                *_system(user, group),
                *(_tmpfs(each, user, group) for each in memory),
                *map(_bind, (volumes or {}).items()),
            ],
            "linux": {"namespaces": [{"type": each} for each in _NAMESPACES]},
        }
        (self._bundle / "config.json").write_text(json.dumps(specification), "utf-8")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def command(self) -> list[str]:
        """What runs it in the foreground, for whoever wants to be its parent."""
        return [*_runc("run"), "--bundle", str(self._bundle), self.name]

    def start(self) -> None:
        """Start it, in the background."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self, seconds: float = _SECONDS) -> int:
        """The exit code of its first process, once that has ended."""
        assert self._process is not None
        return self._process.wait(seconds)

    @property
    def is_running(self) -> bool:
        """Whether its first process is there."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> int:
        """Ask it to end, as a node does: by the image's own signal."""
        name = self._image.settings.get("StopSignal") or "SIGTERM"
        self.signal(signal.Signals[name])
        return self.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its first process."""
        subprocess.run([*_runc("kill"), self.name, str(number.value)], check=True, timeout=_SECONDS)

    def kill(self) -> None:
        """Kill all of its processes at once, and forget it."""
        if self._process is None:
            return
        command = [*_runc("delete"), "--force", self.name]
        subprocess.run(command, check=False, capture_output=True, timeout=_SECONDS)
        self._process.wait(_SECONDS)
        self._process = None

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as the image's user."""
        return subprocess.run(
            [*_runc("exec"), self.name, *command],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )

    def log(self) -> str:
        """What it has written."""
        return self.log_path.read_text("utf-8", "replace")


def give(path: Path, image: Unpacked) -> None:
    """Let an image's user own a file or folder, as `fsGroup` does."""
    os.chown(path, *image.ids)


def _runc(command: str) -> list[str]:
    return ["runc", "--root", _STATE, command]


def _tmpfs(destination: str, user: int, group: int) -> dict[str, Any]:
    # Whose it is matters: runc gives it the mode of the directory that it covers.
    options = ["nosuid", "nodev", f"uid={user}", f"gid={group}", "mode=1777", "size=64m"]
    return {"destination": destination, "type": "tmpfs", "source": "tmpfs", "options": options}


def _bind(volume: tuple[str, Path]) -> dict[str, Any]:
    destination, source = volume
    options = ["rbind", "rw", "nosuid", "nodev"]
    return {"destination": destination, "type": "bind", "source": str(source), "options": options}


def _system(user: int, group: int) -> list[dict[str, Any]]:
    return [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "mode=755"],
        },
        _tmpfs(SHARED_MEMORY, user, group),
    ]
