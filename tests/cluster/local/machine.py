"""What the local cluster needs of the machine."""

from __future__ import annotations

import os
import re
import shutil
import sys

from .commands import PATH, run
from .containerd import plugins
from .failures import ClusterError

_PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "sysctl": "procps",
}
"""And the Debian packages that have them."""
_GO = (1, 26)
"""The oldest that builds the pinned helm and CoreDNS."""


def lacks() -> str | None:
    """Why this machine cannot run the cluster, or None when it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "it needs Linux and root"
    missing = {
        package for name, package in _PROGRAMS.items() if shutil.which(name, path=PATH) is None
    }
    if plugins() is None:
        missing.add("containernetworking-plugins")
    if missing:
        return f"apt-get install {' '.join(sorted(missing))}"
    return lacks_go()


def lacks_go() -> str | None:
    """Why its programs cannot be built here, or None when they can."""
    if _go_version() < _GO:
        return f"it is built with Go {'.'.join(map(str, _GO))} or newer, which is not on PATH"
    return None


def _go_version() -> tuple[int, ...]:
    try:
        found = re.search(r"go(\d+)\.(\d+)", run("go", "version"))
    except ClusterError:
        return (0, 0)
    return tuple(map(int, found.groups())) if found else (0, 0)
