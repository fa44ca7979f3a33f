"""The cluster's own image: one static program under several names, made without a registry."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import Any

NAME = "localhost/threadkeep-cluster-tool:1"
"""For pods' namespaces, volumes, and tests of the cluster itself."""
_NAMES = ("pause", "volume", "serve", "fetch", "read", "write")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Go's names for the kernel's."""
_FOLDERS = ("etc", "proc", "sys", "dev", "tmp")


def write(program: Path, archive: Path) -> None:
    """Write an image of the program in the form of `docker save`, the same for the same input."""
    layer = _tar(_layer(program))
    config = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Entrypoint": ["/pause"], "User": "65535:65535", "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    encoded = json.dumps(config, sort_keys=True).encode()
    config_name = f"{hashlib.sha256(encoded).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [NAME], "Layers": ["layer.tar"]}]
    entries = [
        (_file("layer.tar"), layer),
        (_file(config_name), encoded),
        (_file("manifest.json"), json.dumps(manifest).encode()),
    ]
    archive.write_bytes(_tar(entries))


def _layer(program: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    entries: list[tuple[tarfile.TarInfo, bytes]] = []
    for name in _FOLDERS:
        folder = tarfile.TarInfo(name)
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
        entries.append((folder, b""))
    entries.append((_file("tool", mode=0o755), program.read_bytes()))
    for name in _NAMES:
        link = tarfile.TarInfo(name)
        link.type, link.linkname = tarfile.SYMTYPE, "tool"
        entries.append((link, b""))
    return entries


def _file(name: str, *, mode: int = 0o644) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    return entry


def _tar(entries: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    packed = io.BytesIO()
    options: dict[str, Any] = {"format": tarfile.PAX_FORMAT}
    with tarfile.open(fileobj=packed, mode="w", **options) as archive:
        for entry, content in entries:
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
