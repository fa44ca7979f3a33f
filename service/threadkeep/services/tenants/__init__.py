"""Tenants and their configuration. Others import `Tenants`, which has the rest beside it.

To be read in this order: `tenants`, their policies and the users they revoke; `api_keys` and
`issuers`, who may call; `agents`, who may answer; and `lookup`, the tenant that a change is for.
"""

from __future__ import annotations

from threadkeep.services.tenants.tenants import Tenants

__all__ = ["Tenants"]
