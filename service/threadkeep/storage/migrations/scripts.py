"""Run a script of many statements inside a migration's transaction."""

from __future__ import annotations

from typing import Any

from alembic import op


def execute_script(sql: str) -> None:
    """Send `sql` by the simple protocol: the extended one takes one statement at a time."""
    adapted: Any = op.get_bind().connection.dbapi_connection
    adapted.run_async(lambda connection: connection.execute(sql))
