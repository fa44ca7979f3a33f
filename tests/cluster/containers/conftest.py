"""Images as files, and what a pod gives a container: a volume, a Secret, a port."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ...support import resources
from ...support.programs import free_port
from ..images.build import Image, build
from ..images.commands import MissingBuilderError
from .runc import Unpacked, give, unpack
from .site import Find, Site


@pytest.fixture(scope="package")
def images() -> dict[str, Image]:
    """All images, built where they are not there."""
    resources.program("images", "runc", package="runc")
    try:
        return {image.name: image for image in build()}
    except MissingBuilderError as exc:
        resources.missing("images", str(exc))


@pytest.fixture(scope="package")
def unpacked(images: dict[str, Image], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Find]:
    """Images as files, each laid out once."""
    folder = tmp_path_factory.mktemp("images")
    # Others than root look into it from containers.
    for each in (folder, *folder.parents[:2]):
        each.chmod(each.stat().st_mode | 0o011)
    found: dict[str, Unpacked] = {}

    def find(name: str) -> Unpacked:
        if name not in found:
            found[name] = unpack(images[name].archive, folder / name)
        return found[name]

    yield find
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def folder(short_folder: Path) -> Iterator[Path]:
    """For bundles and volumes, reachable for the users of containers."""
    folder = short_folder / secrets.token_hex(4)
    folder.mkdir()
    short_folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def site(unpacked: Find, folder: Path) -> Site:
    """A volume that is empty."""
    image = unpacked("threadkeep-postgres")
    password = f"it's {secrets.token_urlsafe(12)}"
    for name in ("data", "secrets"):
        (folder / name).mkdir()
        give(folder / name, image)
    (folder / "secrets" / "password").write_text(password, "utf-8")
    give(folder / "secrets" / "password", image)
    return Site(image=image, folder=folder, port=free_port(), password=password)
