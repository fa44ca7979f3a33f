"""Docker and Podman, with the base images of a registry."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from .commands import BuildError, answer, run
from .orders import Order
from .places import CACHE, LOGS
from .recipes import BaseName

BASES: Final[dict[BaseName, str]] = {
    "debian": "debian:trixie-slim",
    "python": "python:3.13-slim-trixie",
}


class Docker:
    """One of the two: they take the same options."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._stamp = CACHE / f"{program}-bases"

    def known_stamp(self) -> str | None:
        """The identities of the base images that were pulled last."""
        return self._stamp.read_text("utf-8") if self._stamp.exists() else None

    def base_stamp(self, *, fresh: bool) -> str:
        """The same, after a pull where there are none."""
        if fresh or not self._stamp.exists():
            digest = hashlib.sha256()
            for base in BASES.values():
                run([self._program, "pull", base], LOGS / "bases.log")
                found = answer(self._program, "image", "inspect", "--format", "{{.Id}}", base)
                if found is None:
                    raise BuildError(f"{base} was pulled and is not there")
                digest.update(found.encode())
            self._stamp.write_text(digest.hexdigest()[:12], "utf-8")
        return self._stamp.read_text("utf-8")

    def build(self, order: Order, archive: Path) -> None:
        """Build, and save under all names."""
        options = order.options(BASES[order.base])
        run([self._program, "build", *options, str(order.context)], order.log)
        save = [self._program, "save", "--output", str(archive)]
        if self._program == "podman":
            save += ["--format", "docker-archive", "--multi-image-archive"]
        run([*save, *order.references], order.log)
