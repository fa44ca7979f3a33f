"""Alembic's entry point: runs inside the connection and transaction of `storage.migrate`."""

from __future__ import annotations

from alembic import context

from threadkeep.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
