"""The tables as Alembic compares them with the database; queries are plain SQL elsewhere."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB, TIMESTAMP, TSVECTOR, UUID

metadata = sa.MetaData()

_UUID = UUID()
_TIME = TIMESTAMP(timezone=True)


def _must(name: str, kind: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, **options)


def _may(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=True)


def _key(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def _tenant() -> sa.Column[Any]:
    return sa.Column("tenant_id", _UUID, sa.ForeignKey("tenants.id"), primary_key=True)


sa.Table(
    "installation",
    metadata,
    _key("id", sa.SmallInteger),
    _must("salt", sa.BigInteger),
    _may("system_identifier", sa.BigInteger),
    _may("timeline", sa.Integer),
    _must("changed_at", _TIME),
)
sa.Table(
    "tenants",
    metadata,
    _key("id", _UUID),
    _must("name", sa.Text, unique=True),
    _must("created_at", _TIME),
    _may("disabled_at", _TIME),
)
sa.Table(
    "policies",
    metadata,
    _tenant(),
    _must("tier", sa.Text),
    _must("limits", JSONB),
    _must("retention", JSONB),
    _must("updated_at", _TIME),
)
sa.Table(
    "api_keys",
    metadata,
    _tenant(),
    _key("id", _UUID),
    _must("name", sa.Text),
    _must("secret_hash", BYTEA),
    _must("scopes", ARRAY(sa.Text)),
    _must("created_at", _TIME),
    _may("expires_at", _TIME),
    _may("revoked_at", _TIME),
    sa.Index("api_keys_id", "id", unique=True),
)
sa.Table(
    "token_issuers",
    metadata,
    _tenant(),
    _key("id", _UUID),
    _must("issuer", sa.Text),
    _must("key_id", sa.Text),
    _must("algorithm", sa.Text),
    _must("audience", sa.Text),
    _may("jwks_url", sa.Text),
    _may("public_key", sa.Text),
    _may("sealed_secret", BYTEA),
    _must("created_at", _TIME),
    _may("revoked_at", _TIME),
    sa.Index(
        "token_issuers_key",
        "issuer",
        "key_id",
        unique=True,
        postgresql_where=sa.text("revoked_at IS NULL"),
    ),
)
sa.Table(
    "revoked_users",
    metadata,
    _tenant(),
    _key("owner", sa.Text),
    _must("revoked_at", _TIME),
)
sa.Table(
    "agents",
    metadata,
    _tenant(),
    _key("id", _UUID),
    _must("name", sa.Text),
    _must("kind", sa.Text),
    _must("settings", JSONB),
    _must("created_at", _TIME),
    _must("updated_at", _TIME),
    sa.Index("agents_name", "tenant_id", "name", unique=True),
)
sa.Table(
    "threads",
    metadata,
    _key("tenant_id", _UUID),
    _key("id", _UUID),
    _must("owner", sa.Text),
    _may("external_id", sa.Text),
    _may("title", sa.Text),
    _must("metadata", JSONB),
    _must("version", sa.BigInteger),
    _may("former_state", sa.Text),
    _must("created_at", _TIME),
    _must("updated_at", _TIME),
    _may("deleted_at", _TIME),
    _must("last_seq_seen", sa.BigInteger),
    _must("last_activity_at", _TIME),
    _must("changed_at", _TIME),
    sa.Index("threads_external", "tenant_id", "owner", "external_id", unique=True),
    sa.Index("threads_activity", "tenant_id", "owner", "last_activity_at", "id"),
    sa.Index("threads_id", "id"),
    sa.Index("threads_changed", "tenant_id", "owner", "changed_at"),
)
sa.Table(
    "heads",
    metadata,
    _key("tenant_id", _UUID),
    _key("thread_id", _UUID),
    _must("owner", sa.Text),
    _must("state", sa.Text),
    _must("last_seq", sa.BigInteger),
    _must("last_at", _TIME),
    _must("salt", sa.BigInteger),
    _must("hold", sa.Boolean),
)
sa.Table(
    "entries",
    metadata,
    _key("tenant_id", _UUID),
    _key("thread_id", _UUID),
    _key("seq", sa.BigInteger),
    _must("id", _UUID),
    _must("created_at", _TIME),
    _may("occurred_at", _TIME),
    _may("run_id", _UUID),
    _may("idem_count", sa.Integer),
    _must("owner", sa.Text),
    _must("kind", sa.Text),
    _must("body", sa.Text),
    _may("idem", BYTEA),
    _may("digest", BYTEA),
    sa.Index(
        "entries_idem",
        "tenant_id",
        "thread_id",
        "idem",
        unique=True,
        postgresql_where=sa.text("idem IS NOT NULL"),
    ),
)
sa.Table(
    "runs",
    metadata,
    _key("tenant_id", _UUID),
    _key("id", _UUID),
    _must("thread_id", _UUID),
    _must("owner", sa.Text),
    _must("agent_id", _UUID),
    _must("agent", sa.Text),
    _must("kind", sa.Text),
    _must("status", sa.Text),
    _must("attempt", sa.Integer),
    _must("fence", sa.BigInteger),
    _may("lease_until", _TIME),
    _may("worker", sa.Text),
    _must("cancel_requested", sa.Boolean),
    _must("concurrent", sa.Boolean),
    _must("settings", JSONB),
    _must("input", JSONB),
    _must("asked_seq", sa.BigInteger),
    _may("message_id", _UUID),
    _may("message_seq", sa.BigInteger),
    _must("started", sa.Boolean),
    _must("open_calls", JSONB),
    _may("reason", sa.Text),
    _may("usage", JSONB),
    _may("error", sa.Text),
    _must("created_at", _TIME),
    _may("started_at", _TIME),
    _may("ended_at", _TIME),
    sa.Index("runs_id", "id"),
    sa.Index("runs_thread", "tenant_id", "thread_id", "id"),
    sa.Index(
        "runs_open",
        "tenant_id",
        "thread_id",
        postgresql_where=sa.text(
            "status IN ('queued', 'running', 'requires_action', 'recovering')"
        ),
    ),
    sa.Index(
        "runs_waiting",
        "created_at",
        postgresql_where=sa.text("status IN ('queued', 'recovering')"),
    ),
    sa.Index("runs_leased", "lease_until", postgresql_where=sa.text("status = 'running'")),
)
sa.Table(
    "partials",
    metadata,
    _key("tenant_id", _UUID),
    _key("run_id", _UUID),
    _key("message_id", _UUID),
    _key("offset", sa.BigInteger),
    _must("thread_id", _UUID),
    _must("owner", sa.Text),
    _must("text", sa.Text),
    sa.Index("partials_thread", "tenant_id", "thread_id"),
)
sa.Table(
    "dirty",
    metadata,
    _key("tenant_id", _UUID),
    _key("thread_id", _UUID),
    _must("marked_at", _TIME),
)
sa.Table(
    "search",
    metadata,
    _key("tenant_id", _UUID),
    _key("thread_id", _UUID),
    _key("seq", sa.BigInteger),
    _must("owner", sa.Text),
    _must("words", TSVECTOR),
    sa.Index("search_words", "words", postgresql_using="gin"),
)
sa.Table(
    "tickets",
    metadata,
    _tenant(),
    _key("hash", BYTEA),
    _must("owner", sa.Text),
    _may("origin", sa.Text),
    _must("actor", sa.Text),
    _must("scopes", ARRAY(sa.Text)),
    _may("key_id", _UUID),
    _must("issued_at", _TIME),
    _may("session_expires_at", _TIME),
    _must("expires_at", _TIME),
    sa.Index("tickets_hash", "hash"),
    sa.Index("tickets_expiry", "expires_at"),
)
sa.Table(
    "audit",
    metadata,
    _key("tenant_id", _UUID),
    _key("id", _UUID),
    _must("at", _TIME),
    _must("actor", sa.Text),
    _may("owner", sa.Text),
    _must("action", sa.Text),
    _may("target", sa.Text),
    _must("count", sa.BigInteger),
    _must("detail", JSONB),
)
sa.Table(
    "read_markers",
    metadata,
    _key("tenant_id", _UUID),
    _key("owner", sa.Text),
    _key("thread_id", _UUID),
    _must("seq", sa.BigInteger),
    _must("updated_at", _TIME),
)
sa.Table(
    "heartbeat",
    metadata,
    _key("id", sa.SmallInteger),
    _must("at", _TIME),
)
