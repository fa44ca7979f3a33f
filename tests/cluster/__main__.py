"""`python -m tests.cluster`: a cluster on this machine, by whatever way works here."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from . import kind, ladder, products
from .access import Cluster
from .images import build as images
from .images.commands import BuildError
from .local import build, cluster, machine, places
from .local.failures import ClusterError

_OWN = Path(".threadkeep")
_TOOLS = ("kubectl", "helm")


def main() -> int:
    """Do what the first argument says."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("command", choices=("build", "up", "down"))
    command = parser.parse_args().command
    try:
        _COMMANDS[command]()
    except (ClusterError, BuildError, kind.KindError, ladder.NoCluster) as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


def _build() -> None:
    """All that a cluster needs and that takes long, without starting one."""
    if kind.lacks() is not None and machine.lacks() is None:
        build.everything(_say)
    images.build()


def _up() -> None:
    found = ladder.start(_say)
    _give_access(found)
    products.load(found, _say)
    tools = _give_tools()
    _say("\nThe cluster is up. Next:")
    _say(f"  export KUBECONFIG=$PWD/{_OWN / 'kubeconfig'}{tools}")
    _say("  helm install tk charts/threadkeep --wait")
    _say("  kubectl create job --from=cronjob/tk-threadkeep-integration integration-1")


def _down() -> None:
    if kind.lacks() is None:
        kind.stop()
    if machine.lacks() is None or cluster.status().phase != "down":
        cluster.stop(_say)
    (_OWN / "kubeconfig").unlink(missing_ok=True)


def _give_access(found: Cluster) -> None:
    if found.kubeconfig is None:
        return
    _OWN.mkdir(exist_ok=True)
    own = _OWN / "kubeconfig"
    own.unlink(missing_ok=True)
    own.touch(mode=0o600)
    own.write_bytes(found.kubeconfig.read_bytes())


def _give_tools() -> str:
    """Link what the machine has not; returns how to find it."""
    folder = _OWN / "bin"
    folder.mkdir(exist_ok=True, parents=True)
    missing = [name for name in _TOOLS if shutil.which(name) is None]
    for name in missing:
        link, built = folder / name, places.LINKS / name
        link.unlink(missing_ok=True)
        if built.exists():
            link.symlink_to(built)
    return f" PATH=$PWD/{folder}{os.pathsep}$PATH" if missing else ""


def _say(text: str) -> None:
    print(text, flush=True)


_COMMANDS = {"build": _build, "up": _up, "down": _down}

if __name__ == "__main__":
    sys.exit(main())
