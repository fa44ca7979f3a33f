"""A sabotaged deployment, and scenario tests run against it by a pytest of their own."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..scenarios.levels import CONTROL
from ..support.postgres import Database
from ..support.service import Deployment, ServiceProcess
from .inner import Runner
from .processes import SabotagedProcess

_OURS = "THREADKEEP_TEST_"


def deployment(
    database: Database, folder: Path, sabotage: str | None, processes: int
) -> Deployment:
    """Processes over a database, not started; without a name only the database is broken."""
    key = secrets.token_urlsafe(24)
    settings = database.service_environment() | {"THREADKEEP_PLATFORM_KEY": key}
    return Deployment(
        [
            SabotagedProcess(sabotage, f"broken-{n}", folder, settings)
            if sabotage
            else ServiceProcess(f"broken-{n}", folder, settings)
            for n in range(processes)
        ],
        key,
    )


def addresses(against: Deployment, database: Database) -> dict[str, str]:
    """With which scenario tests know a deployment, as they would know a remote one."""
    return {
        "THREADKEEP_TEST_BASE_URL": ",".join(against.urls),
        "THREADKEEP_TEST_PLATFORM_KEY": against.platform_key,
        "THREADKEEP_TEST_ADMIN_DSN": database.superuser_url,
    }


def outcomes(
    runner: Runner,
    tests: Sequence[str],
    folder: Path,
    *,
    against: Mapping[str, str] | None = None,
    sabotage: str | None = None,
) -> dict[str, dict[str, Any]]:
    """Node id → outcome of scenario tests, run against a deployment or against their own.

    Services that the tests start themselves have the sabotage in them.
    """
    environment = {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith(_OURS)}
    environment |= {"THREADKEEP_TEST_PROFILE": CONTROL, **(against or {})}
    log = folder / "pytest.log"
    runner.run(tests, environment, folder, log, sabotage)
    report = folder / "report.json"
    assert report.exists(), log.read_text("utf-8", "replace")[-4000:]
    rows = json.loads(report.read_text("utf-8"))["rows"]
    seen: dict[str, dict[str, Any]] = {}
    for each in (each for row in rows for each in row["tests"]):
        # A broken service may fail the tear-down besides; the call comes first, and says why.
        seen.setdefault(each["test"], each)
    return seen
