"""The migration of the next release that upgrade tests install: one column more where work is.

`NEXT` and `HEAD` are replaced by revisions when that release is built.
"""

from __future__ import annotations

from alembic import op

revision = "NEXT"
down_revision = "HEAD"

_TABLES = ("agents", "api_keys", "entries", "heads", "runs", "threads", "token_issuers")


def upgrade() -> None:
    """Expand: what this release's predecessor does not name, it does not see."""
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} ADD COLUMN next_release text")


def downgrade() -> None:
    """Remove the columns."""
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} DROP COLUMN next_release")
