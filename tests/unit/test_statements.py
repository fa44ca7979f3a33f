"""Rules for SQL in the service that a running process depends on."""

from __future__ import annotations

import re
from pathlib import Path

STORAGE = Path(__file__).parents[2] / "service" / "threadkeep" / "storage"


def test_statements_on_tables_name_their_columns() -> None:
    """A prepared `*` fails on every open connection when an upgrade adds a column."""
    found = {
        path.name: re.findall(
            r"RETURNING\s+(?:\w+\.)?\*|SELECT\s+(?:\w+\.)?\*\s+FROM\s+\w+(?![\w(])[^\"]*",
            path.read_text("utf-8"),
        )
        for path in STORAGE.glob("*.py")
    }

    assert len(found) > 20
    assert {name: statements for name, statements in found.items() if statements} == {}
