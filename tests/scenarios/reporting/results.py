"""The results of a run in a cluster: what fits into a message, and what into a ConfigMap."""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kubernetes import client

from ..pods import namespace, own_api
from .model import STATUSES, Report

MESSAGE_BYTES: Final = 4096
"""Longest message that a container may leave behind."""
CONFIGMAP_BYTES: Final = 1024 * 1024 - 16 * 1024
"""What a ConfigMap may hold, less its names and labels."""
FILES: Final = ("report.html", "junit.xml", "report.json")
"""What is kept, the most important first; the rest is left out where there is no room."""
_LISTS: Final = ("missed", "could_not_run", "failed")
"""Parts of the summary that may be cut, the least important first."""
_SECONDS: Final = 30


def summary(report: Report, run: str, counts: Mapping[str, int], status: int) -> dict[str, Any]:
    """What happened, in a few lines."""
    facts = report.as_dict()
    rows, outcomes = report.rows(), [o for each in report.outcomes.values() for o in each]
    statuses = Counter(row.status for row in rows if row.outcomes)
    figures = [figure for outcome in outcomes for figure in outcome.figures]
    return {
        "run": run,
        "exit_code": status,
        "profile": report.profile,
        "date": facts["date"],
        "versions": {
            k: facts["versions"][k] for k in ("threadkeep", "PostgreSQL") if k in facts["versions"]
        },
        "tests": dict(counts),
        "rows": {status: statuses[status] for status in STATUSES},
        "failed": sorted({o.test for o in outcomes if o.outcome == "failed"}),
        "could_not_run": sorted({o.message for o in outcomes if o.outcome == "skipped"}),
        "missed": sorted(
            {f["name"] for f in figures if f["verdict"] in {"failed", "inconclusive"}}
        ),
    }


def message(told: dict[str, Any], most: int = MESSAGE_BYTES) -> bytes:
    """A summary as JSON that fits; what is cut is counted."""
    told, cut = dict(told), 0
    for name in _LISTS:
        while told[name] and len(_encoded(told, cut)) > most:
            told[name] = told[name][:-1]
            cut += 1
    return _encoded(told, cut)


def packed(folder: Path, most: int = CONFIGMAP_BYTES) -> tuple[dict[str, bytes], list[str]]:
    """Compressed files by name, and the names of those for which there was no room."""
    kept: dict[str, bytes] = {}
    left_out: list[str] = []
    room = most
    for name in FILES:
        path = folder / name
        if not path.exists():
            continue
        content = gzip.compress(path.read_bytes(), mtime=0)
        if len(content) <= room:
            kept[f"{name}.gz"] = content
            room -= len(content)
        else:
            left_out.append(name)
    return kept, left_out


def publish(run: str, uid: str, told: dict[str, Any], folder: Path) -> None:
    """Write the ConfigMap of a run; it goes when its Job is removed."""
    files, left_out = packed(folder)
    owner = client.V1OwnerReference(api_version="batch/v1", kind="Job", name=run, uid=uid)
    written = client.V1ConfigMap(
        metadata=client.V1ObjectMeta(
            name=run,
            labels={"app.kubernetes.io/part-of": "threadkeep", "threadkeep.dev/results": "suite"},
            owner_references=[owner],
        ),
        data={"summary.json": json.dumps(told | {"left_out": left_out}, ensure_ascii=False)},
        binary_data={name: base64.b64encode(each).decode() for name, each in files.items()},
    )
    api = client.CoreV1Api(own_api())
    api.create_namespaced_config_map(namespace(), written, _request_timeout=_SECONDS)


def _encoded(told: dict[str, Any], cut: int) -> bytes:
    return json.dumps(told | ({"cut": cut} if cut else {}), ensure_ascii=False).encode()
