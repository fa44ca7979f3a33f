"""Shapes of probes and status."""

from __future__ import annotations

from typing import Literal

import msgspec


class Alive(msgspec.Struct):
    """The process runs."""

    status: Literal["alive"]


class ReadyQuery(msgspec.Struct):
    """What of readiness is not asked; who watches may add parameters of his own."""

    exclude: Literal["database"] | None = None
    """Named as in the probes of Kubernetes' own API server."""


class Ready(msgspec.Struct):
    """The process takes requests."""

    status: Literal["ready"]


class Status(msgspec.Struct):
    """What runs, and what does not run as it should."""

    version: str
    epoch: str
    maintenance: bool
    degraded: list[str]


class Document(msgspec.Struct):
    """The OpenAPI document."""

    openapi: str
