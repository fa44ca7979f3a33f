"""A cluster by kind, where Docker or Podman works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from .access import Cluster

Say = Callable[[str], None]

NAME = "threadkeep"
_NODES = ("control-plane", "worker")
_SECONDS = 900.0
"""The first time an image of half a gigabyte is fetched."""


class KindError(Exception):
    """kind failed; the message is its own."""


def lacks() -> str | None:
    """Why kind cannot be used here, or None when it can."""
    if shutil.which("kind") is None:
        return "kind is not installed"
    if _engine() is None:
        return "neither Docker nor Podman works"
    return None


def start(say: Say) -> Cluster:
    """Adopt the cluster of our name, or create it with two nodes."""
    kubeconfig = _kubeconfig()
    if NAME not in _kind("get", "clusters").split():
        say("Creating a cluster with kind ...")
        nodes = [{"role": role} for role in _NODES]
        description = {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "nodes": nodes,
        }
        _kind("create", "cluster", "--config=-", "--wait=300s", text=json.dumps(description))
    _kind("export", "kubeconfig", f"--kubeconfig={kubeconfig}")
    return Cluster("kind", f"kind-{NAME}", kubeconfig, load=_load, stop=stop)


def stop() -> None:
    """Delete the cluster of our name, if there is one."""
    if lacks() is None and NAME in _kind("get", "clusters").split():
        _kind("delete", "cluster")


def _kubeconfig() -> Path:
    path = Path.home() / ".cache" / "threadkeep" / "kind.kubeconfig"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _load(archive: Path, _references: Sequence[str]) -> None:
    _kind("load", "image-archive", str(archive))


def _kind(*arguments: str, text: str | None = None) -> str:
    engine = _engine()
    environment = dict(os.environ)
    if engine == "podman":
        environment["KIND_EXPERIMENTAL_PROVIDER"] = engine
    name = [] if arguments[:2] == ("get", "clusters") else [f"--name={NAME}"]
    done = subprocess.run(
        ("kind", *arguments, *name),
        input=text,
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=_SECONDS,
        env=environment,
    )
    if done.returncode != 0:
        raise KindError(f"kind {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def _engine() -> str | None:
    for name in ("docker", "podman"):
        if shutil.which(name) is None:
            continue
        try:
            done = subprocess.run((name, "info"), capture_output=True, check=False, timeout=30)
        except subprocess.TimeoutExpired:
            continue
        if done.returncode == 0:
            return name
    return None
