"""Archives of images in Docker's format: their names, and how many are kept."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_KEPT: Final = 5
"""Archives of one image: of several checkouts, and of before the last changes."""


def give_names(archive: Path, named: Path, names: Sequence[str]) -> None:
    """Copy an archive of one image, under all of `names`."""
    with tarfile.open(archive) as source, tarfile.open(named, "w") as target:
        for member in source:
            content = source.extractfile(member)
            if member.name == "repositories":
                continue
            if member.name == "manifest.json" and content is not None:
                manifest = json.load(content)
                manifest[0]["RepoTags"] = list(names)
                text = json.dumps(manifest).encode()
                member.size = len(text)
                content = io.BytesIO(text)
            target.addfile(member, content)


def prune(folder: Path, name: str) -> None:
    """Remove all but the last used archives of an image."""
    found = sorted(folder.glob(f"{name}-sha-*.tar"), key=lambda each: each.stat().st_mtime)
    for archive in found[:-_KEPT]:
        archive.unlink()
