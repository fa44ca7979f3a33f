"""Routes of what lasts: the socket, and the stream of a thread."""

from __future__ import annotations

from typing import Final

from threadkeep.domain import scopes
from threadkeep.errors import Forbidden, Gone, InvalidRequest, TooMany, Unavailable
from threadkeep.web import sse, websocket
from threadkeep.web.route import Access, Route
from threadkeep.web.schemas.search import SocketQuery, StreamQuery

LASTING: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path="/v1/ws",
        handler=websocket.open_socket,
        access=Access.SOCKET,
        tag="Sockets",
        summary="Open a WebSocket (RFC 6455) for commands and any number of threads.",
        query=SocketQuery,
        answers={101: None},
        errors=(InvalidRequest, Forbidden, TooMany, Unavailable),
        is_stream=True,
    ),
    Route(
        method="GET",
        path="/v1/threads/{thread_id}/stream",
        handler=sse.open_stream,
        access=Access.USER,
        scope=scopes.THREADS_READ,
        tag="Messages",
        summary="Follow a thread by server-sent events, from a cursor on or from a snapshot.",
        query=StreamQuery,
        headers=("Last-Event-ID",),
        answers={200: str},
        answer_type=sse.CONTENT_TYPE,
        errors=(Gone,),
        is_stream=True,
    ),
)
