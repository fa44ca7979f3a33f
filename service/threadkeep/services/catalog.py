"""All use cases of one process, as edges get them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a list of names: whoever reads it need not load every use case
    from threadkeep.services.access.credentials import Credentials
    from threadkeep.services.audit import Audit
    from threadkeep.services.audit_log import AuditLog
    from threadkeep.services.delivery import Delivery
    from threadkeep.services.messages import Messages
    from threadkeep.services.probes import Probes
    from threadkeep.services.rates import Rates
    from threadkeep.services.runs import Runs
    from threadkeep.services.search import Search
    from threadkeep.services.tenants import Tenants
    from threadkeep.services.threads import Threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Made once by `app.py`; every field is safe for concurrent use."""

    audit: Audit
    audit_log: AuditLog
    credentials: Credentials
    delivery: Delivery
    messages: Messages
    probes: Probes
    rates: Rates
    runs: Runs
    search: Search
    tenants: Tenants
    threads: Threads
