"""A pytest plugin for a run as a Job: its exit code, its last message and its ConfigMap."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Final

import pytest

from . import results
from .plugin import REPORT, folder_of

MESSAGE: Final = Path("/dev/termination-log")
"""Where Kubernetes reads a container's last message."""


def pytest_configure(config: pytest.Config) -> None:
    """Take part where this is a Job."""
    if run := os.environ.get("THREADKEEP_TEST_RUN"):
        # At its deadline a Job is ended: what was found until then is worth keeping.
        signal.signal(signal.SIGTERM, _interrupt)
        uid = os.environ.get("THREADKEEP_TEST_RUN_UID", "")
        config.pluginmanager.register(_Job(run, uid), "_job")


class _Job:
    """Hands the results over once the report is written."""

    def __init__(self, run: str, uid: str) -> None:
        self._run = run
        self._uid = uid

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int
    ) -> Generator[None, object, object]:
        """Say how it went; results that nobody can read are a failure."""
        result = yield
        reporter = session.config.pluginmanager.getplugin("terminalreporter")
        counts = {
            k: len(reporter.stats.get(k, [])) for k in ("passed", "failed", "error", "skipped")
        }
        told = results.summary(session.config.stash[REPORT], self._run, counts, int(exitstatus))
        try:
            results.publish(self._run, self._uid, told, folder_of(session.config))
        except Exception as exc:  # noqa: BLE001 - whatever it was, the message must still be written
            told["failed"] = [f"the results could not be written: {exc!r}"[:1000], *told["failed"]]
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
        MESSAGE.write_bytes(results.message(told))
        return result


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
