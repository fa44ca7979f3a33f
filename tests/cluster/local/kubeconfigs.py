"""Files with which a program finds the API and proves who it is."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from .certificates import Pair
from .nodes import GATEWAY

CONTEXT = "threadkeep-local"
API_PORT = 6443
API_URL = f"https://{GATEWAY}:{API_PORT}"


def write(path: Path, *, authority: Path, pair: Pair) -> Path:
    """A kubeconfig that needs no other file; only its owner may read it. YAML reads JSON."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "clusters": [
            {
                "name": CONTEXT,
                "cluster": {"server": API_URL, "certificate-authority-data": _encoded(authority)},
            }
        ],
        "users": [
            {
                "name": CONTEXT,
                "user": {
                    "client-certificate-data": _encoded(pair.certificate),
                    "client-key-data": _encoded(pair.key),
                },
            }
        ],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=2), "utf-8")
    return path


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode("ascii")
