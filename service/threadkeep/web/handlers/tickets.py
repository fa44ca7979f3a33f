"""Tickets: how a page of a browser opens a socket without showing a lasting credential."""

from __future__ import annotations

from aiohttp import web

from threadkeep.domain.entries import timestamp
from threadkeep.web import bodies
from threadkeep.web.keys import PRINCIPAL, SERVICES
from threadkeep.web.responses import answer
from threadkeep.web.schemas.search import TicketCreate


async def create_ticket(request: web.Request) -> web.Response:
    """Make a ticket for one socket of the caller."""
    body = await bodies.body(request, TicketCreate)
    ticket, expires_at = await request.app[SERVICES].credentials.issue_ticket(
        request[PRINCIPAL], origin=body.origin, seconds=body.seconds
    )
    return answer({"ticket": ticket, "expires_at": timestamp(expires_at)}, status=201)
