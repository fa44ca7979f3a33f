"""Alembic migrations; the SQL of each stands in sql/."""
