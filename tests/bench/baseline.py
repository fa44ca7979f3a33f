"""What the lines reached when the document was written, in multiples of A: a regression check.

The limit is generous, because single short rounds on a shared machine differ by as much.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

PATH: Final = Path(__file__).with_name("baseline.json")
LIMIT: Final = 0.6
"""Part of the baseline that must be reached."""


def keep(lines: Iterable[dict[str, Any]]) -> None:
    """Make these figures the baseline."""
    reached = {line["name"]: round(line["median"]["per_a"], 3) for line in lines}
    PATH.write_text(json.dumps(reached, indent=2) + "\n", encoding="utf-8")


def fallen(lines: Iterable[dict[str, Any]]) -> list[str]:
    """Lines that are behind the baseline, in words; a line without one is not judged."""
    known: dict[str, float] = json.loads(PATH.read_text(encoding="utf-8")) if PATH.exists() else {}
    return [
        f"{line['name']} {line['median']['per_a']:.2f} A instead of {known[line['name']]:.2f} A"
        for line in lines
        if line["median"]["per_a"] < LIMIT * known.get(line["name"], 0.0)
    ]
