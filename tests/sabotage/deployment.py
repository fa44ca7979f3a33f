"""A sabotaged deployment, and scenario tests run against it by a pytest of their own."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typing_extensions import override

from ..support.postgres import Database
from ..support.service import Deployment, ServiceProcess

ROOT = Path(__file__).parents[2]
_OURS = "THREADKEEP_TEST_"


class SabotagedProcess(ServiceProcess):
    """`threadkeep serve` with a mechanism broken in its process."""

    def __init__(self, sabotage: str, *words: Any) -> None:
        super().__init__(*words)
        self._sabotage = sabotage

    @override
    def command(self) -> list[str]:
        words = super().command()
        place = words.index("threadkeep")
        return [*words[:place], "tests.sabotage", self._sabotage, *words[place + 1 :]]

    @override
    def environment(self) -> dict[str, str]:
        return super().environment() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'service'}"}


def deployment(database: Database, folder: Path, sabotage: str | None) -> Deployment:
    """Two processes over a database, not started; without a name only the database is broken."""
    key = secrets.token_urlsafe(24)
    settings = database.service_environment() | {"THREADKEEP_PLATFORM_KEY": key}
    processes = [
        SabotagedProcess(sabotage, f"broken-{n}", folder, settings)
        if sabotage
        else ServiceProcess(f"broken-{n}", folder, settings)
        for n in range(2)
    ]
    return Deployment(processes, key)


async def outcomes(
    tests: Sequence[str], against: Deployment, database: Database, folder: Path
) -> dict[str, dict[str, Any]]:
    """Node id → outcome of scenario tests that know a deployment by its addresses only."""
    environment = {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith(_OURS)}
    environment |= {
        "THREADKEEP_TEST_BASE_URL": ",".join(against.urls),
        "THREADKEEP_TEST_PLATFORM_KEY": against.platform_key,
        "THREADKEEP_TEST_ADMIN_DSN": database.superuser_url,
        "THREADKEEP_TEST_PROFILE": "control",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--judge"),
        f"--scenario-report={folder}",
        *tests,
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    report = folder / "report.json"
    assert report.exists(), output.decode("utf-8", "replace")[-4000:]
    rows = json.loads(report.read_text("utf-8"))["rows"]
    return {each["test"]: each for row in rows for each in row["tests"]}
