"""Builds the programs of the cluster from source, once: their checksums are in the go.sum files."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from . import places
from .failures import ClusterError, tail

Say = Callable[[str], None]

_VERSION = "k8s.io/component-base/version"
_KUBERNETES_FLAGS = (
    f"-X {_VERSION}.gitVersion=v{places.KUBERNETES}",
    f"-X {_VERSION}.gitMajor={places.KUBERNETES.split('.')[0]}",
    f"-X {_VERSION}.gitMinor={places.KUBERNETES.split('.')[1]}",
    f"-X {_VERSION}.gitTreeState=clean",
)
_PROGRESS_SECONDS = 15.0
_PAUSE = 0.2
_KEPT = 3
"""Builds of one program: of this checkout, of another, and of before the last change."""


@dataclass(frozen=True)
class Program:
    """One program and the Go package that it is."""

    name: str
    package: str = "."
    flags: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Further names, by which it knows what to be."""

    @property
    def module(self) -> Path:
        """The folder of the go.mod that pins all its packages."""
        return places.PROGRAMS / self.name

    @property
    def path(self) -> Path:
        """The built program, named after all that decides what it becomes.

        So checkouts with different sources do not build it in turns.
        """
        digest = hashlib.sha256(" ".join((self.package, *self.flags)).encode())
        for path in sorted(self.module.glob("*")):
            digest.update(path.read_bytes())
        return places.BUILT / f"{self.name}-{digest.hexdigest()[:12]}"


HELM = Program(
    "helm",
    "helm.sh/helm/v4/cmd/helm",
    ("-X helm.sh/helm/v4/internal/version.version=v4.3.1",),
)
HELM_3 = Program(
    "helm3",
    "helm.sh/helm/v3/cmd/helm",
    ("-X helm.sh/helm/v3/internal/version.version=v3.22.0",),
)
KUBERNETES = Program(
    "kubernetes",
    flags=_KUBERNETES_FLAGS,
    names=(
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-proxy",
        "kube-scheduler",
        "kubectl",
        "kubelet",
    ),
)
PROGRAMS = (
    Program("tool"),
    HELM,
    HELM_3,
    KUBERNETES,
    Program("coredns"),
    Program("local-path-provisioner", "github.com/rancher/local-path-provisioner"),
)


def everything(say: Say) -> None:
    """Build what is missing or changed. The first time takes ten minutes on two processors."""
    for program in PROGRAMS:
        one(program, say)


def one(program: Program, say: Say) -> None:
    """The same for one program."""
    places.BUILT.mkdir(parents=True, exist_ok=True)
    if not program.path.exists():
        with _alone(program, say):
            if not program.path.exists():
                _build(program, say)
    _link(program)


def _build(program: Program, say: Say) -> None:
    say(f"Building {program.name} ...")
    built = program.path
    made = built.with_suffix(".new")
    log = _log(program)
    command = (
        *("nice", "-n", "5", "go", "build", "-v", "-trimpath", "-buildvcs=false"),
        *("-ldflags", " ".join(("-s", "-w", *program.flags)), "-o", str(made), program.package),
    )
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=program.module,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"},
        )
        _follow(process, program, say)
    if process.returncode != 0:
        raise ClusterError(f"building {program.name} failed:\n{tail(log)}")
    made.rename(built)
    _prune(program)
    say(f"Built {program.name} in {time.monotonic() - started:.0f} s.")


class _Progress:
    """Says now and then how far a build is, whoever does it."""

    def __init__(self, program: Program, say: Say) -> None:
        self._program = program
        self._say = say
        self._started = self._spoken = time.monotonic()

    def pause(self) -> None:
        """Wait a moment; speak if it is time to."""
        time.sleep(_PAUSE)
        now = time.monotonic()
        if now - self._spoken > _PROGRESS_SECONDS:
            self._spoken = now
            log = _log(self._program)
            count = log.read_bytes().count(b"\n") if log.exists() else 0
            seconds = now - self._started
            self._say(f"  {self._program.name}: {count} packages after {seconds:.0f} s")


def _log(program: Program) -> Path:
    return places.BUILT / f"{program.name}.log"


def _follow(process: subprocess.Popen[bytes], program: Program, say: Say) -> None:
    progress = _Progress(program, say)
    try:
        while process.poll() is None:
            progress.pause()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _link(program: Program) -> None:
    for name in (program.name, *program.names):
        _point(places.BUILT / name, program.path.name)
    places.LINKS.mkdir(parents=True, exist_ok=True)
    for name in {"kubectl", "helm", "helm3"} & {program.name, *program.names}:
        _point(places.LINKS / name, os.path.relpath(places.BUILT / name, places.LINKS))


def _prune(program: Program) -> None:
    found = places.BUILT.glob(f"{program.name}-{'[0-9a-f]' * 12}")
    for old in sorted(found, key=lambda each: each.stat().st_mtime)[:-_KEPT]:
        old.unlink()


def _point(link: Path, target: str) -> None:
    if not link.is_symlink() or str(link.readlink()) != target:
        # In one step: another checkout may be starting the program.
        made = link.with_name(f".{link.name}.{os.getpid()}")
        made.symlink_to(target)
        made.rename(link)


@contextmanager
def _alone(program: Program, say: Say) -> Iterator[None]:
    with (places.BUILT / f".{program.name}.lock").open("w") as lock:
        if not _take(lock):
            say(f"Somebody else builds {program.name}; waiting ...")
            progress = _Progress(program, say)
            while not _take(lock):
                progress.pause()
        yield


def _take(lock: IO[str]) -> bool:
    """Take the lock if it is free; returns whether it was."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
