"""docs/events.md describes every kind of entry that there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from threadkeep.domain.events import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")


def named_in(heading: str) -> set[str]:
    """Names at the beginning of the rows of one part."""
    part = PAGE.split(f"\n{heading}\n", 1)[1].split("\n## ", 1)[0]
    cells = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_the_table_of_kinds_is_complete() -> None:
    assert named_in("## Kinds") == KINDS


def test_every_kind_has_its_payload() -> None:
    described = named_in("## Threads") | named_in("## Runs")
    assert {"message"} | described >= KINDS
