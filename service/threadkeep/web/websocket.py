"""`/v1/ws`: from the request for an upgrade to the end of the socket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, Final

from aiohttp import WSMsgType, hdrs, web

from threadkeep.domain import scopes
from threadkeep.domain.principals import Principal
from threadkeep.errors import Forbidden, InvalidRequest, NotAuthenticated
from threadkeep.logs import get_logger
from threadkeep.web import bodies, cors, frames
from threadkeep.web import websocket_limits as limits
from threadkeep.web.authentication import Attempt, admit, bearer_of, user_of
from threadkeep.web.keys import REQUEST_ID, SERVICES
from threadkeep.web.live import LIVE, Live
from threadkeep.web.schemas.search import SocketQuery
from threadkeep.web.websocket_actions import begin
from threadkeep.web.websocket_commands import NAMES, BadFrameError, parse
from threadkeep.web.websocket_outbox import ROOM_BYTES, Outbox
from threadkeep.web.websocket_session import Session

_log = get_logger(__name__)
# It would warn of offered sub-protocols that it does not know, and so log tokens.
logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)

PROTOCOL: Final = "threadkeep.v1"
"""The sub-protocol that is chosen where it is offered; a browser that sends its token as one
must offer this too, because the token is not echoed."""
_BEARER: Final = "bearer."
_GOING_ON: Final = frozenset({WSMsgType.PING, WSMsgType.PONG, WSMsgType.BINARY})
_NO_TEXT: Final = "A command is a text frame."


async def open_socket(request: web.Request) -> web.StreamResponse:
    """Authenticate, upgrade, and serve until the socket is closed."""
    live = request.app[LIVE]
    live.refuse_while_draining()
    response: web.WebSocketResponse[bool] = web.WebSocketResponse(
        timeout=limits.CLOSE_SECONDS,
        autoclose=False,
        autoping=False,
        protocols=(PROTOCOL,),
        compress=False,
        max_msg_size=limits.HARD_BYTES,
        decode_text=False,
    )
    if not response.can_prepare(request):
        raise InvalidRequest("This address takes WebSocket upgrades (RFC 6455).", malformed=True)
    principal = await _authenticate(request)
    with request.app[SERVICES].rates.socket(principal):
        live.refuse_while_draining()
        await response.prepare(request)
        response.headers.clear()  # sent; thousands of idle sockets would keep them
        if (transport := request.transport) is None:
            return response
        session = _open(request, principal, transport, live)
        try:
            await _read(response, session, live)
        finally:
            _close(session, live)
    return response


async def _authenticate(request: web.Request) -> Principal:
    """By a ticket, the Authorization header or a sub-protocol; from an allowed origin."""
    if not cors.is_allowed(request):
        raise Forbidden("This origin is not allowed.")
    ticket = bodies.query(request, SocketQuery).ticket
    with Attempt(request) as credentials:
        if ticket is not None:
            origin = request.headers.get(hdrs.ORIGIN)
            principal = await credentials.use_ticket(ticket, origin=origin)
        else:
            principal = await credentials.authenticate(_token(request), user_of(request))
    admit(request, principal, scopes.THREADS_READ)
    return principal


def _token(request: web.Request) -> str:
    if hdrs.AUTHORIZATION in request.headers:
        return bearer_of(request)
    offered = ",".join(request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, []))
    for protocol in offered.split(","):
        if protocol.strip().startswith(_BEARER):
            return protocol.strip().removeprefix(_BEARER)
    raise NotAuthenticated


def _open(
    request: web.Request, principal: Principal, transport: asyncio.Transport, live: Live
) -> Session:
    services = request.app[SERVICES]
    outbox = Outbox(transport, request.writer, live.flusher)
    session = Session(services, principal, transport, outbox, request[REQUEST_ID])
    session.unwatch = services.credentials.watch(principal, session.refused)
    live.add(session, limits.PING_SECONDS)
    live.sockets += 1
    _log.info("socket.opened", owner=principal.owner)
    return session


def _close(session: Session, live: Live) -> None:
    session.finish()
    live.remove(session)
    live.sockets -= 1
    live.totals.closed[session.code] += 1
    _log.info(
        "socket.closed",
        code=session.code,
        frames_in=session.frames_in,
        frames_out=session.frames_out,
        last_seq=session.last_seq,
    )


async def _read(response: web.WebSocketResponse[bool], session: Session, live: Live) -> None:
    """Take frames until the peer closes or is gone."""
    receive = response.receive
    while True:
        message = await receive()
        session.is_heard = True
        if message.type is WSMsgType.TEXT:
            if (work := _take(session, live, message.data)) is not None:
                await work
        elif not _take_other(session, message.type, message.data):
            session.code = session.code or response.close_code or limits.ABNORMAL
            return
        del message  # not to be kept while the next one is waited for
        if session.in_flight >= limits.COMMANDS_IN_FLIGHT or session.outbox.waiting > ROOM_BYTES:
            await session.ease()


def _take_other(session: Session, kind: WSMsgType, data: Any) -> bool:
    """Frames that carry no command; False when it was the last one."""
    if kind is WSMsgType.PING:
        session.outbox.send(frames.pong(bytes(data)))
    elif kind is WSMsgType.BINARY:
        session.frames_in += 1
        session.refuse(b"null", InvalidRequest(_NO_TEXT))
    elif kind is WSMsgType.CLOSE:
        _say_goodbye(session, data)
    return kind in _GOING_ON


def _take(session: Session, live: Live, data: bytes) -> Awaitable[None] | None:
    if session.code:
        return None  # it is being closed: nothing new is begun
    session.frames_in += 1
    totals = live.totals
    totals.frames_in += 1
    totals.bytes_in += len(data)
    try:
        command = parse(data)
    except BadFrameError as bad:
        session.refuse(frames.re_of(bad.command_id), bad.error)
        return None
    totals.commands[NAMES[type(command)]] += 1
    return begin(session, command)


def _say_goodbye(session: Session, code: int | None) -> None:
    """Answer the peer's close frame, unless it is the answer to ours."""
    if not session.code:
        session.outbox.send(frames.close(code or limits.NORMAL))
        session.outbox.flush()
        session.code = code or limits.NORMAL
