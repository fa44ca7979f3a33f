"""docs/protocol.md names every command and every close code that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from threadkeep.web import websocket_limits as limits
from threadkeep.web.websocket_commands import NAMES

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
ROWS = {
    cell.split(" ")[0].strip("`,")
    for line in PAGE.splitlines()
    if line.startswith("| ")
    for cell in [line.removeprefix("| ")]
}


@pytest.mark.parametrize("name", sorted(NAMES.values()))
def test_every_command_has_its_row(name: str) -> None:
    assert name in ROWS


def test_every_close_code_has_its_row() -> None:
    codes = {
        limits.NORMAL,
        limits.ABUSE,
        limits.RESTARTING,
        limits.UNAUTHENTICATED,
        limits.DISABLED,
        limits.SLOW_CONSUMER,
        limits.TOO_MANY,
    }
    assert {str(code) for code in codes} <= ROWS


@pytest.mark.parametrize(("shape", "name"), sorted((s.__name__, n) for s, n in NAMES.items()))
def test_every_member_of_a_command_is_named(shape: str, name: str) -> None:
    (struct,) = [s for s in NAMES if s.__name__ == shape]
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}`")]
    named = set(re.findall(r"\w+", " ".join(rows)))
    assert set(struct.__struct_fields__) - {"id"} <= named
