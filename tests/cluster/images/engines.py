"""Which program builds images here: Docker or Podman, else buildah and mmdebstrap alone."""

from __future__ import annotations

import os
import shutil

from .buildah import Buildah
from .commands import MissingBuilderError, answer
from .docker import Docker
from .orders import Engine


def find() -> Engine:
    """The engine of this machine; raises `MissingBuilderError` where there is none."""
    for program in ("docker", "podman"):
        if shutil.which(program) and answer(program, "info", seconds=20) is not None:
            return Docker(program)
    if os.geteuid() != 0:
        raise MissingBuilderError("Images need Docker or Podman here, or root for buildah.")
    missing = [each for each in ("buildah", "mmdebstrap") if not shutil.which(each)]
    if missing:
        raise MissingBuilderError(f"Missing here: apt-get install {' '.join(missing)}")
    return Buildah()
