"""Tests against real PostgreSQL, Redis and PgBouncer."""
