"""What the audit says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class AuditFact:
    """Something that was done or refused, and how often in its minute."""

    id: str
    at: datetime
    actor: str
    owner: str | None
    action: str
    target: str | None
    count: int
    detail: dict[str, Any]
