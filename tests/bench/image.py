"""The service from its image, as a pod runs it: with the image's Python, not this machine's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from typing_extensions import override

from tests.cluster.containers.runc import Container, Unpacked, unpack
from tests.cluster.images.build import build
from tests.support.service import ServiceProcess

_NAME = "threadkeep"
_VERSIONS = """
import json, platform, sys
from importlib.metadata import version
found = {each: version(each) for each in sys.argv[1:]}
print(json.dumps({"Python": platform.python_version()} | found))
"""

Serve = Callable[[str, Path, Mapping[str, str]], ServiceProcess]
"""Makes a service from its name, its folder and its settings."""


def unpacked(folder: Path) -> Unpacked:
    """The image's files; built where they are not there."""
    (image,) = build([_NAME])
    return unpack(image.archive, folder / "image")


def versions(image: Unpacked, folder: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Those of Python and of packages in the image."""
    plain = replace(image, settings={**image.settings, "Entrypoint": ["python"]})
    with Container(plain, folder, arguments=["-c", _VERSIONS, *names]) as container:
        assert container.wait() == 0, container.log()
    found: dict[str, str] = json.loads(container.log())
    return found


class ImageService(ServiceProcess):
    """`threadkeep serve` in a container on this machine's network, beside an embedded database."""

    def __init__(
        self, image: Unpacked, sockets: Path, name: str, folder: Path, settings: Mapping[str, str]
    ) -> None:
        super().__init__(name, folder, settings)
        # PostgreSQL's socket is for its own user alone.
        owner = sockets.stat()
        user = f"{owner.st_uid}:{owner.st_gid}"
        self._image = replace(image, settings={**image.settings, "User": user})
        self._sockets = sockets

    @override
    def command(self) -> list[str]:
        container = Container(
            self._image,
            self.folder,
            arguments=["serve", "--host", "127.0.0.1", "--port", str(self.port)],
            environment={**self.settings, "THREADKEEP_LOG_FORMAT": "json"},
            volumes={str(self._sockets): self._sockets},
        )
        return container.command
