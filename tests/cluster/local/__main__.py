"""`python -m tests.cluster.local`: the cluster's commands."""

from __future__ import annotations

import argparse
import sys

from . import build, cluster, faults, leftovers, machine, places, supervisor
from .failures import ClusterError


def main() -> int:
    """Do what the first argument says."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.local", description=__doc__)
    parser.add_argument("command", choices=("supervise", *_COMMANDS))
    command = parser.parse_args().command
    if command == "supervise":
        return supervisor.main()
    try:
        return _COMMANDS[command]()
    except ClusterError as exc:
        print(exc, file=sys.stderr)
        return 1


def _build() -> int:
    _check()
    build.everything(_say)
    return 0


def _up() -> int:
    _build()
    cluster.start(_say)
    return 0


def _down() -> int:
    cluster.stop(_say)
    return 0


def _status() -> int:
    found = cluster.status()
    print(f"{found.phase}: {found.problem or places.KUBECONFIG}")
    for each in leftovers.find():
        print(f"  {each}")
    return 0 if found.phase == "ready" else 1


def _heal() -> int:
    faults.heal()
    return 0


def _check() -> None:
    if reason := machine.lacks():
        raise ClusterError(f"A local cluster is not possible here: {reason}")


def _say(text: str) -> None:
    print(text, flush=True)


_COMMANDS = {"build": _build, "up": _up, "down": _down, "status": _status, "heal": _heal}

if __name__ == "__main__":
    sys.exit(main())
