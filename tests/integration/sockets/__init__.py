"""Sockets and event streams, spoken to by third-party clients and by raw bytes."""
