"""What each image is made of. Only these files reach a builder, and their digest is the tag."""

from __future__ import annotations

import hashlib
import os
import shutil
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from . import release

ROOT: Final = Path(__file__).parents[3]
"""The checkout."""

BaseName = Literal["debian", "python"]

_SERVICE: Final = (
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "requirements-build.lock",
    "requirements-service.lock",
    "service/Containerfile",
    "service/threadkeep",
    "service/trim-root",
)
_TIME: Final = 1_577_836_800
"""Of all folders in a build: the first second of 2020."""
_TIMES: Final = 2**27
"""Seconds after it, up to 2024, in which files are dated by their content."""
_LEFT_OUT: Final = ("__pycache__", "tests/cluster")
"""As in .dockerignore, which tells the same to `docker build .`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one image is built."""

    name: str
    containerfile: str
    inputs: tuple[str, ...]
    """Files and folders, relative to the checkout."""
    base: BaseName
    repository: str = ""
    """Of the image's names; empty: as the recipe is called."""
    target: str | None = None
    tag: str | None = None
    """Beside the digest; None: the version of the project."""
    change: Callable[[Path], None] | None = None
    """Applied to the copied inputs."""
    changed_by: tuple[str, ...] = ()
    """Files outside the inputs that decide what `change` does."""

    def content(self, base: str) -> str:
        """Twelve hex digits that change when an input, or the base, does."""
        digest = hashlib.sha256(f"{base}\0{self.target}".encode())
        for path in (*files(self.inputs), *files(self.changed_by)):
            mode = "x" if path.stat().st_mode & 0o100 else "-"
            digest.update(f"\0{path.relative_to(ROOT)}\0{mode}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:12]

    def references(self, content: str) -> tuple[str, str]:
        """The image's names: by digest, and by version."""
        repository = f"localhost/{self.repository or self.name}"
        return f"{repository}:sha-{content}", f"{repository}:{self.tag or version()}"

    def stage(self, folder: Path) -> None:
        """Copy the inputs, and change them where this recipe does."""
        for path in files(self.inputs):
            copy = folder / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)
            # Whatever the umask of the checkout was: others run what is in an image.
            copy.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        if self.change is not None:
            self.change(folder)
        for path in (folder, *folder.rglob("*")):
            os.utime(path, (_dated(path),) * 2)

    def version(self, folder: Path) -> str:
        """The version of what `stage` has put there."""
        return version(folder if "pyproject.toml" in self.inputs else ROOT)


SERVICE: Final = Recipe(
    name="threadkeep",
    containerfile="service/Containerfile",
    target="service",
    inputs=_SERVICE,
    base="python",
)
NEXT: Final = Recipe(
    name="threadkeep-next",
    repository="threadkeep",
    tag="next",
    containerfile="service/Containerfile",
    target="service",
    inputs=_SERVICE,
    base="python",
    change=release.make_next,
    changed_by=("tests/cluster/images/release.py", "tests/cluster/images/next_migration.py"),
)
SUITES: Final = Recipe(
    name="threadkeep-suites",
    containerfile="service/Containerfile",
    target="suites",
    inputs=(*_SERVICE, "requirements-suites.lock", "examples", "tests"),
    base="python",
)
POSTGRES: Final = Recipe(
    name="threadkeep-postgres",
    containerfile="postgres/Containerfile",
    inputs=("postgres", "service/trim-root"),
    base="debian",
)
RECIPES: Final = (SERVICE, NEXT, SUITES, POSTGRES)


def _dated(path: Path) -> int:
    """Time of a file in a build, the same for the same content.

    Builders count times as content: another checkout is to find the same layers. And BuildKit
    takes a file of the same size and time for the one that it was sent before.
    """
    if not path.is_file():
        return _TIME
    return _TIME + int.from_bytes(hashlib.sha256(path.read_bytes()).digest()[:4]) % _TIMES


def files(inputs: tuple[str, ...]) -> Iterator[Path]:
    """The files of `inputs`, in an order that does not depend on the file system."""
    for name in inputs:
        path = ROOT / name
        if path.is_file():
            yield path
            continue
        for each in sorted(path.rglob("*")):
            if each.is_file() and not _is_left_out(each.relative_to(ROOT)):
                yield each


def version(folder: Path = ROOT) -> str:
    """The version of the project in a folder."""
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    found: str = project["version"]
    return found


def _is_left_out(path: Path) -> bool:
    return any(f"/{part}/" in f"/{path}/" for part in _LEFT_OUT)
