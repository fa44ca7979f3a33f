"""The folder of `threadkeep dev`: who uses it, its secrets, and `dev.json` for programs.

`state.json` holds what must outlive a restart, `dev.json` what others may read to use the
service; both are 0600 and replaced atomically.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from threadkeep.errors import ThreadkeepError

T = TypeVar("T")

_EPHEMERAL: Final = "threadkeep-dev-"
_LOCK: Final = "dev.lock"


def _secret() -> str:
    return secrets.token_urlsafe(32)


class State(msgspec.Struct):
    """Secrets made at the first start, and how far the demo has come."""

    superuser_password: str = msgspec.field(default_factory=_secret)
    app_password: str = msgspec.field(default_factory=_secret)
    platform_key: str = msgspec.field(default_factory=_secret)
    token_secret: str = msgspec.field(default_factory=_secret)
    tenant: str = ""
    api_key: str = ""
    imported: list[str] = []
    """Languages whose dialogues are in the log, as `<version>/<language>`."""


class DevFile(msgspec.Struct):
    """What `dev.json` says."""

    url: str
    tenant: str
    api_key: str
    users: dict[str, str]
    """Name → token."""
    database_url: str
    """As the service's own role, which owns nothing and sees nothing without a principal."""
    state_file: str
    """Where the other secrets are, such as the platform key."""


class Workspace:
    """One folder, held by one `threadkeep dev`."""

    def __init__(self, folder: Path, dev_json: Path, *, is_new: bool) -> None:
        self.folder = folder
        self.dev_json = dev_json
        self.is_new = is_new
        """True when there is no PostgreSQL in it yet."""
        self.state = State()

    @property
    def postgres(self) -> Path:
        """The data directory of the server."""
        return self.folder / "postgres"

    @property
    def service_log(self) -> Path:
        """Where the service's process writes."""
        return self.folder / "service.log"

    @property
    def state_file(self) -> Path:
        """What must outlive a restart."""
        return self.folder / "state.json"

    def save(self) -> None:
        """Keep the state."""
        _write(self.state_file, msgspec.json.encode(self.state))

    def publish(self, described: DevFile) -> None:
        """Tell programs how to use the service."""
        _write(self.dev_json, msgspec.json.format(msgspec.json.encode(described)))

    def load(self) -> None:
        """Read the state, or begin one where there are no data either."""
        path = self.state_file
        try:
            self.state = msgspec.json.decode(path.read_bytes(), type=State)
        except FileNotFoundError:
            if not self.is_new:
                raise ThreadkeepError(
                    f"{path} is missing, and with it the passwords of the database beside it; "
                    f"put it back, or move {self.folder} away to start anew."
                ) from None
            self.save()
        except msgspec.MsgspecError as exc:
            raise ThreadkeepError(
                f"{path} is damaged ({exc}); put a good one back, or move {self.folder} away to "
                "start anew."
            ) from exc


@contextmanager
def workspace(folder: Path, *, ephemeral: bool) -> Iterator[Workspace]:
    """The folder, locked; an ephemeral one is made elsewhere and removed at the end.

    Also an ephemeral service is described by `<folder>/dev.json`, unless another one is; where
    there was no folder, none is left.
    """
    folder = folder.absolute()
    with _readable_errors(folder), contextlib.ExitStack() as stack:
        is_held = _hold(folder, stack)
        if not is_held and not ephemeral:
            raise ThreadkeepError(f"{folder} is in use by {_holder(folder)}.")
        place = stack.enter_context(_ephemeral()) if ephemeral else folder
        dev_json = (folder if is_held else place) / "dev.json"
        made = Workspace(place, dev_json, is_new=not (place / "postgres").exists())
        made.load()
        try:
            yield made
        finally:
            if ephemeral:
                dev_json.unlink(missing_ok=True)
                if is_held:
                    _leave_nothing(folder)


@contextmanager
def _ephemeral() -> Iterator[Path]:
    _sweep()
    place = Path(tempfile.mkdtemp(prefix=_EPHEMERAL))
    with contextlib.ExitStack() as stack:
        _hold(place, stack)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _leave_nothing(folder: Path) -> None:
    """Remove a folder that holds nothing but our lock, which must be held."""
    if [path.name for path in folder.iterdir()] == [_LOCK]:
        (folder / _LOCK).unlink()
        with contextlib.suppress(OSError):  # somebody has put something into it just now
            folder.rmdir()


def _sweep() -> None:
    """Remove what ephemeral services have left that could not do it themselves."""
    for left in Path(tempfile.gettempdir()).glob(f"{_EPHEMERAL}*"):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            if left.stat().st_uid == os.geteuid() and _hold(left, stack):
                shutil.rmtree(left, ignore_errors=True)


def _hold(folder: Path, stack: contextlib.ExitStack) -> bool:
    """Lock a folder for as long as this process lives; False when another one has."""
    while True:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / _LOCK
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        stack.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(descriptor).st_ino:
                break
        # It was removed between the opening and the locking: what is locked is no longer there.
    with contextlib.suppress(OSError):  # a full disk is reported by what needs the space
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return True


def _holder(folder: Path) -> str:
    with contextlib.suppress(OSError, ValueError):
        return f"another `threadkeep dev`, process {int((folder / _LOCK).read_text())}"
    return "another `threadkeep dev`"


def _write(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f"{path.name}.new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


@contextmanager
def _readable_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise ThreadkeepError(f"{exc.filename or folder}: {exc.strerror or exc}.") from exc
