"""The container runtime of a node: Debian's containerd, apart from any other on the machine."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from . import image, network
from .commands import PATH, run
from .components import Component, listens
from .failures import ClusterError
from .nodes import Node

_CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
_LOAD_SECONDS = 300.0
_PLUGINS = ("ptp", "host-local", "loopback")

_CONFIG = """\
version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
  address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{image}"
  # Without the right to make a process less likely to be killed, asking for it fails.
  restrict_oom_score_adj = true
  # Below `state`, so that cleaning finds them.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{networks}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "{runc}"
      Root = "{runc_state}"
"""


def plugins() -> Path | None:
    """The folder of the network plugins, if they are installed."""
    for folder in _CNI_FOLDERS:
        if all((folder / name).exists() for name in _PLUGINS):
            return folder
    return None


def component(node: Node) -> Component:
    """Write its configuration and tell how it is started."""
    network.write_cni(node)
    config = node.folder / "containerd.toml"
    config.write_text(_config(node), "utf-8")
    command = node.inside(_program("containerd"), "--config", str(config))
    return Component(
        f"containerd-{node.number}",
        command,
        lambda: listens(node.containerd),
        environment={"PATH": PATH},
    )


def load(node: Node, archive: Path, references: Sequence[str]) -> None:
    """Bring an image to a node, under all its names; the first of them tells its content."""
    content, *others = references
    if content not in images(node):
        run(*_ctr(node), "images", "import", str(archive), seconds=_LOAD_SECONDS)
    for each in others:
        # Another checkout may have given this name to its own image.
        run(*_ctr(node), "images", "tag", "--force", content, each)


def images(node: Node) -> list[str]:
    """The names of the images on a node."""
    return run(*_ctr(node), "images", "list", "-q").split()


def _ctr(node: Node) -> tuple[str, ...]:
    return ("ctr", "--address", str(node.containerd), "--namespace", "k8s.io")


def _config(node: Node) -> str:
    folder = plugins()
    if folder is None:
        raise ClusterError("the network plugins of containernetworking-plugins are not installed")
    node.run.mkdir(parents=True, exist_ok=True, mode=0o711)
    return _CONFIG.format(
        root=node.folder / "containerd",
        state=node.run / "containerd",
        socket=node.containerd,
        image=image.NAME,
        plugins=folder,
        networks=network.cni_folder(node),
        runc=_program("runc"),
        runc_state=node.run / "runc",
    )


def _program(name: str) -> str:
    found = shutil.which(name, path=PATH)
    if found is None:
        raise ClusterError(f"{name} is not installed")
    return found
