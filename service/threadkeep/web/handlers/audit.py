"""The audit of the own tenant."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from threadkeep.domain import ids
from threadkeep.domain.audit import AuditFact
from threadkeep.domain.entries import timestamp
from threadkeep.web.handlers.tenants import page_of
from threadkeep.web.keys import SERVICES, TENANT
from threadkeep.web.responses import listing


async def list_audit(request: web.Request) -> web.Response:
    """What was done and refused, newest first."""
    log = request.app[SERVICES].audit_log
    return listing(await log.list(request[TENANT].tenant, page_of(request)), fact_object)


def fact_object(fact: AuditFact) -> dict[str, Any]:
    """A fact as callers see it."""
    return {
        "id": ids.to_public(ids.AUDIT, fact.id),
        "at": timestamp(fact.at),
        "actor": fact.actor,
        "owner": fact.owner,
        "action": fact.action,
        "target": fact.target,
        "count": fact.count,
        "detail": fact.detail,
    }
