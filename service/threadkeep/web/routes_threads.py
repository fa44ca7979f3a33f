"""Routes of threads, their log, search and tickets."""

from __future__ import annotations

from functools import partial
from typing import Final

from threadkeep.domain import scopes
from threadkeep.errors import (
    Conflict,
    Gone,
    IdempotencyMismatch,
    InvalidRequest,
    StaleVersion,
    TooLarge,
)
from threadkeep.web.handlers import messages, search, threads, tickets
from threadkeep.web.route import Access, Route
from threadkeep.web.schemas import search as found
from threadkeep.web.schemas import threads as shapes

_read = partial(Route, access=Access.USER, scope=scopes.THREADS_READ)
_write = partial(Route, access=Access.USER, scope=scopes.THREADS_WRITE)
_thread = partial(_write, tag="Threads")

_ONE: Final = "/v1/threads/{thread_id}"
_ACTIONS: Final = {
    "pause": "Take no messages until it is resumed.",
    "resume": "Take messages again.",
    "complete": "Mark as done; a message reopens it.",
    "archive": "Put away.",
    "unarchive": "Bring back into the state before it was put away.",
    "undelete": "Bring back a deleted thread.",
}

THREADS: Final[tuple[Route, ...]] = (
    _thread(
        method="POST",
        path="/v1/threads",
        handler=threads.create_thread,
        summary="Create a thread, or get the one that has this external id.",
        body=shapes.ThreadCreate,
        answers={201: shapes.ThreadObject, 200: shapes.ThreadObject},
    ),
    _read(
        method="GET",
        path="/v1/threads",
        handler=threads.list_threads,
        tag="Threads",
        summary="List one's own threads.",
        query=shapes.ThreadListQuery,
        answers={200: shapes.ThreadPage},
    ),
    _read(
        method="GET",
        path=_ONE,
        handler=threads.get_thread,
        tag="Threads",
        summary="Get a thread.",
        answers={200: shapes.ThreadObject},
        errors=(Gone,),
    ),
    _thread(
        method="PATCH",
        path=_ONE,
        handler=threads.change_thread,
        summary="Merge title and metadata (JSON merge patch).",
        body=shapes.ThreadChange,
        headers=("If-Match",),
        answers={200: shapes.ThreadObject},
        errors=(Gone, StaleVersion, TooLarge),
    ),
    _thread(
        method="DELETE",
        path=_ONE,
        handler=threads.delete_thread,
        summary="Delete; can be undone for 30 days.",
        answers={200: shapes.ThreadObject},
        errors=(Gone, Conflict),
    ),
    *(
        _thread(
            method="POST",
            path=f"{_ONE}/{action}",
            handler=threads.acting(action),
            summary=summary,
            answers={200: shapes.ThreadObject},
            errors=(Gone, Conflict),
        )
        for action, summary in _ACTIONS.items()
    ),
    _thread(
        method="PUT",
        path=f"{_ONE}/hold",
        handler=threads.set_hold,
        summary="Put under legal hold: nothing of it is deleted.",
        answers={200: shapes.ThreadObject},
        errors=(Gone,),
    ),
    _thread(
        method="DELETE",
        path=f"{_ONE}/hold",
        handler=threads.lift_hold,
        summary="End the legal hold.",
        answers={200: shapes.ThreadObject},
        errors=(Gone,),
    ),
    _thread(
        method="PUT",
        path=f"{_ONE}/read_marker",
        handler=threads.set_read_marker,
        summary="Note up to where one has read.",
        body=shapes.ReadMarker,
        answers={200: shapes.ReadMarker},
        errors=(Gone,),
    ),
    _write(
        method="POST",
        path=f"{_ONE}/messages",
        handler=messages.append_messages,
        tag="Messages",
        summary="Append up to 100 messages, all or none.",
        body=shapes.MessagesCreate,
        headers=("Idempotency-Key",),
        answers={201: shapes.MessagesAppended},
        errors=(Gone, Conflict, IdempotencyMismatch),
    ),
    _read(
        method="GET",
        path=f"{_ONE}/messages",
        handler=messages.list_messages,
        tag="Messages",
        summary="Read messages by seq, forwards or backwards.",
        query=shapes.MessageQuery,
        answers={200: shapes.EntryPage},
        errors=(Gone,),
    ),
    _read(
        method="GET",
        path=f"{_ONE}/entries",
        handler=messages.list_entries,
        tag="Messages",
        summary="Read messages and events by seq, forwards or backwards.",
        query=shapes.EntryQuery,
        answers={200: shapes.EntryPage},
        errors=(Gone,),
    ),
    _read(
        method="GET",
        path="/v1/search",
        handler=search.search_messages,
        tag="Search",
        summary="Search one's own messages, best first.",
        query=found.SearchQuery,
        answers={200: found.HitPage},
    ),
    _read(
        method="POST",
        path="/v1/tickets",
        handler=tickets.create_ticket,
        tag="Sockets",
        summary="Make a ticket that opens one socket once.",
        body=found.TicketCreate,
        answers={201: found.TicketAnswer},
        errors=(InvalidRequest,),
    ),
)
