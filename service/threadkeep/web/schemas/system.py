"""Shapes of probes and status."""

from __future__ import annotations

from typing import Literal

import msgspec


class Alive(msgspec.Struct):
    """The process runs."""

    status: Literal["alive"]


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
