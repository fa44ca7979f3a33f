"""Reading the audit of one tenant."""

from __future__ import annotations

import msgspec

from threadkeep.domain.audit import AuditFact
from threadkeep.storage.database import Connection, Record
from threadkeep.storage.pages import Window


async def page(connection: Connection, tenant: str, window: Window) -> list[AuditFact]:
    """Facts by id, newest first; `window.after` asks for older ones."""
    order, bound = ("ASC", ">") if window.is_backward else ("DESC", "<")
    rows = await connection.fetch(
        "SELECT id, at, actor, owner, action, target, count, detail FROM audit"  # noqa: S608 - constants
        f" WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id {bound} $2)"
        f" ORDER BY id {order} LIMIT $3",
        tenant,
        window.before if window.is_backward else window.after,
        window.limit,
    )
    found = [_fact(row) for row in rows]
    return found[::-1] if window.is_backward else found


def _fact(row: Record) -> AuditFact:
    return AuditFact(
        id=row["id"].hex,
        at=row["at"],
        actor=row["actor"],
        owner=row["owner"],
        action=row["action"],
        target=row["target"],
        count=row["count"],
        detail=msgspec.json.decode(row["detail"]),
    )
