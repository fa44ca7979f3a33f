"""Where the cluster keeps what it makes. Makes nothing itself."""

from __future__ import annotations

from pathlib import Path

KUBERNETES = "1.35.4"

STATE = Path("/var/lib/threadkeep-cluster")
"""Certificates, configuration, logs, volumes and pid files; removed by `down`."""
RUN = Path("/run/threadkeep-cluster")
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
LOCK = CACHE / "cluster.lock"
"""Held by the supervisor as long as it lives, so there is one per machine."""
