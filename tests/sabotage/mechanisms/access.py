"""Broken access: an audit that hears nothing."""

from __future__ import annotations

from typing import Any

from threadkeep.services.audit import Audit

from . import breaks, put


@breaks("deaf-audit")
def deaf_audit() -> None:
    """Refusals are not written down."""

    def refused(_self: Audit, *_: Any) -> None:
        """Hear nothing."""

    put(Audit, "refused", refused)


@breaks("loud-audit")
def loud_audit() -> None:
    """Each refusal is written down twice, under two names."""
    refused = Audit.refused

    def twice(self: Audit, who: Any, action: str, target: str) -> None:
        refused(self, who, action, target)
        refused(self, who, f"{action} again", target)

    put(Audit, "refused", twice)
