"""Frozen data and rules of the product: no I/O, no framework, nothing that waits."""
