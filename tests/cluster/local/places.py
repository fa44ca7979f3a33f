"""Where the cluster keeps what it makes. Makes nothing itself."""

from __future__ import annotations

import os
from pathlib import Path

KUBERNETES = "1.35.4"

NAME = os.environ.get("THREADKEEP_CLUSTER", "threadkeep")
"""Begins the names of nodes and links, so at most 13 letters. The tests of this package start a
second cluster, in a network of its own, under another name."""
STATE = Path(f"/var/lib/{NAME}-cluster")
"""Certificates, configuration, logs, volumes and pid files; removed by `down`."""
RUN = Path(f"/run/{NAME}-cluster")
"""Sockets and mounts; apart from STATE because the path of a socket must be short."""
CACHE = Path.home() / ".cache" / "threadkeep"
BUILT = CACHE / "kube" / f"v{KUBERNETES}" / "bin"
"""What was built from source; outlives the cluster."""
LINKS = CACHE / "bin"
"""Stable names of the programs that people use: kubectl, helm, helm3."""
PROGRAMS = Path(__file__).parent / "programs"
"""The Go modules that the programs are built from."""

KUBECONFIG = STATE / "admin.kubeconfig"
LOGS = STATE / "logs"
PIDS = STATE / "pids"
STOPPED = STATE / "stopped"
"""A file here keeps the component of its name from running: how tests stop a node."""
VOLUMES = STATE / "volumes"
EVENTS = STATE / "events.log"
"""What the supervisor did, for people; `up` prints it as it grows."""
STATUS = STATE / "status.json"
LOCK = Path(f"/run/{NAME}-cluster.lock")
"""Held by the supervisor as long as it lives, so there is one per machine, whoever's home the
next command finds."""
COMMAND_LOCK = Path(f"/run/{NAME}-cluster.command.lock")
"""Held by whoever is starting or stopping the cluster."""
