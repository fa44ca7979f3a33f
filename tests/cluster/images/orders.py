"""What an engine is asked to build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .recipes import BaseName


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One image."""

    context: Path
    """A folder with the inputs and nothing else."""
    containerfile: str
    target: str | None
    base: BaseName
    references: Sequence[str]
    """All its names."""
    labels: Mapping[str, str]
    secrets: Mapping[str, Path]
    log: Path

    def options(self, base: str) -> list[str]:
        """The options that Docker, Podman and buildah have in common; no secret is in them."""
        words = ["--file", str(self.context / self.containerfile), "--build-arg", f"BASE={base}"]
        # No build arguments: buildah finds a label in its cache that an older argument gave.
        for name, value in self.labels.items():
            words += ["--label", f"{name}={value}"]
        for name, path in self.secrets.items():
            words += ["--secret", f"id={name},src={path}"]
        for reference in self.references:
            words += ["--tag", reference]
        if self.target is not None:
            words += ["--target", self.target]
        return words


class Engine(Protocol):
    """A program that builds images."""

    def known_stamp(self) -> str | None:
        """What tells these base images from others; None where there are none yet."""

    def base_stamp(self, *, fresh: bool) -> str:
        """The same; makes or fetches the base images where there are none, or fresh ones."""

    def build(self, order: Order, archive: Path) -> None:
        """Build an image and write it as a docker-archive with all its names."""
