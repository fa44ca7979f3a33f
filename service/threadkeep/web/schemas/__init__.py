"""Structs of what callers send and get: the shapes in OpenAPI, unknown fields refused."""
