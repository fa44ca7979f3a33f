"""A program that belongs to the cluster: how it is started and known to work."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import places

_PROBE_SECONDS = 2.0


@dataclass(frozen=True)
class Component:
    """One program; `name` is also that of its log and of its pid file."""

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[], bool]
    seconds: float = 90.0
    """What it may take to become ready, on a busy machine."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """What it wrote."""
        return places.LOGS / f"{self.name}.log"

    @property
    def stopped(self) -> Path:
        """While this file exists it is not to run."""
        return places.STOPPED / self.name


def always() -> bool:
    """For a component that others' readiness tells about."""
    return True


def answers(host: str, port: int, path: str, *, is_tls: bool = False) -> bool:
    """Whether a health address says 200."""
    connection: http.client.HTTPConnection
    if is_tls:
        # Only whether it lives is asked; nothing is sent that others may not read.
        context = ssl._create_unverified_context()  # noqa: S323
        connection = http.client.HTTPSConnection(
            host, port, timeout=_PROBE_SECONDS, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def accepts(host: str, port: int) -> bool:
    """Whether somebody accepts connections."""
    try:
        socket.create_connection((host, port), _PROBE_SECONDS).close()
    except OSError:
        return False
    return True


def listens(path: Path) -> bool:
    """Whether somebody accepts on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PROBE_SECONDS)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
