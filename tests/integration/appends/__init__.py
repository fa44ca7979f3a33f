"""The append path against real PostgreSQL."""
