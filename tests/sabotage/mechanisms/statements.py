"""Mechanisms broken inside a database: functions rewritten in one place, policies replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.postgres import superuser


@dataclass(frozen=True)
class Rewrite:
    """A function in which a text is replaced wherever it stands; it must stand there."""

    function: str
    old: str
    new: str


Step = Rewrite | str
"""A rewrite, or a statement."""


def opened(table: str) -> list[Step]:
    """Row security that lets the application see every row of a table."""
    return [
        f"DROP POLICY principal ON {table}",
        f"CREATE POLICY principal ON {table} TO threadkeep_app USING (true) WITH CHECK (true)",
    ]


async def apply(superuser_url: str, steps: Sequence[Step]) -> None:
    """Break a database."""
    async with superuser(superuser_url) as connection:
        for step in steps:
            if isinstance(step, str):
                await connection.execute(step)
                continue
            text: str = await connection.fetchval(
                "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = $1", step.function
            )
            assert step.old in text, f"{step.function} has no {step.old!r} any more"
            await connection.execute(text.replace(step.old, step.new))
