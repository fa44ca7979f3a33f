"""The first schema: tables, roles, row security and functions."""

from __future__ import annotations

from importlib.resources import files

from threadkeep.storage.migrations.scripts import execute_script

revision = "0001"
down_revision = None

_FILES = (
    "0001_roles.sql",
    "0001_tables.sql",
    "0001_append.sql",
    "0001_threads.sql",
    "0001_reads.sql",
    "0001_delivery.sql",
    "0001_system.sql",
    "0001_runs.sql",
    "0001_projector.sql",
    "0001_grants.sql",
)


def upgrade() -> None:
    """Create everything. The roles belong to the server and may exist already."""
    folder = files("threadkeep.storage.migrations") / "sql"
    for name in _FILES:
        execute_script((folder / name).read_text(encoding="utf-8"))


def downgrade() -> None:
    """Remove everything but the roles, which other databases of the server may use."""
    execute_script(
        """
        DO $$
        DECLARE item record;
        BEGIN
            FOR item IN SELECT p.oid::regprocedure AS name FROM pg_proc p
                         WHERE p.pronamespace = 'public'::regnamespace
                           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid
                                            AND d.deptype = 'e') LOOP
                EXECUTE format('DROP FUNCTION %s CASCADE', item.name);
            END LOOP;
            FOR item IN SELECT c.oid::regclass AS name FROM pg_class c
                         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
                           AND c.relname <> 'alembic_version' LOOP
                EXECUTE format('DROP TABLE %s CASCADE', item.name);
            END LOOP;
        END $$;
        DROP POLICY writes ON alembic_version;
        DROP POLICY principal ON alembic_version;
        DROP POLICY audits ON alembic_version;
        """
    )
