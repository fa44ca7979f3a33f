"""With a mechanism broken, the scenarios that promise it turn red, and for that reason."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..support.postgres import Databases
from .controls import CONTROLS, Control, Red
from .running import Running

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest, databases: Databases, short_folder: Path
) -> Iterator[Running]:
    """The selected controls, several at once: most of their time they wait."""
    names = {item.name for item in request.session.items if item.path == request.path}
    chosen = [control for control in CONTROLS if any(f"[{control.name}]" in n for n in names)]
    with Running(chosen, databases, short_folder) as running:
        yield running


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_sabotage_turns_its_scenarios_red(
    control: Control, running: Running, record_property: Callable[[str, object], None]
) -> None:
    seen = running.outcomes_of(control)
    faults = [fault for red in control.reds if (fault := _missing(red, seen))]
    for row in sorted({red.row for red in control.reds}):
        told = {
            "name": control.name,
            "row": row,
            "breaks": control.breaks,
            "tests": [red.test for red in control.reds if red.row == row],
            "is_red": not any(_missing(red, seen) for red in control.reds if red.row == row),
        }
        record_property("control", json.dumps(told))
    assert faults == []


def _missing(red: Red, seen: dict[str, dict[str, Any]]) -> str:
    """What is wrong with a test that should have turned red; nothing if it did."""
    found = [
        each for test, each in seen.items() if test == red.test or test.startswith(f"{red.test}[")
    ]
    if not found:
        return f"{red.test} was not run"
    failed = [each for each in found if (each["outcome"], each["phase"]) == ("failed", "call")]
    if not failed:
        return f"{red.test}: {found[0]['outcome']} in {found[0]['phase']}\n{found[0]['message']}"
    if not any(re.search(red.reason, each["message"], re.DOTALL) for each in failed):
        return f"{red.test} failed, but not with {red.reason!r}:\n{failed[0]['message']}"
    return ""
