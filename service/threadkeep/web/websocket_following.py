"""Subscriptions of a socket: what it follows, and from where on."""

from __future__ import annotations

from threadkeep.domain import ids
from threadkeep.domain.entries import Cursor
from threadkeep.errors import InvalidRequest, TooMany
from threadkeep.services.delivery import Subscription
from threadkeep.web import frames
from threadkeep.web import websocket_commands as commands
from threadkeep.web.websocket_session import Session


async def subscribe(session: Session, command: commands.Subscribe) -> bytes | None:
    """Follow a thread, or the user's threads."""
    if (command.feed is None) == (command.thread_id is None):
        raise InvalidRequest("Give thread_id or feed, one of them.", field="thread_id")
    if command.feed is not None:
        return await _subscribe_feed(session)
    thread = ids.from_public(ids.THREAD, command.thread_id or "")
    if thread not in session.subscriptions:
        _check_room(session)
    await _follow(session, thread, command)
    return None


async def _subscribe_feed(session: Session) -> bytes:
    if session.feed is None:
        _check_room(session)
        session.feed = await session.services.delivery.subscribe_user(session.principal, session)
        if session.closed:
            session.release()
    return b'{"feed":"user"}'


async def switch_thread(session: Session, command: commands.SwitchThread) -> bytes | None:
    """Follow a thread instead of the one that was subscribed last."""
    thread = ids.from_public(ids.THREAD, command.thread_id)
    former = session.current
    await _follow(session, thread, command)
    if former is not None and former != thread:
        _leave(session, former)
    return None


async def _follow(
    session: Session, thread: str, command: commands.Subscribe | commands.SwitchThread
) -> None:
    """Subscribe, in place of an earlier subscription of the same thread."""
    cursor = Cursor.parse(command.cursor) if command.cursor is not None else None
    if command.cursor is not None and cursor is None:
        raise InvalidRequest("This is no cursor.", field="cursor")
    delivery = session.services.delivery
    subscription: Subscription = await delivery.subscribe(
        session.principal, thread, cursor=cursor, after_seq=command.after_seq, sink=session
    )
    _leave(session, thread)
    if session.closed:
        delivery.unsubscribe(subscription)
        return
    session.subscriptions[thread] = subscription
    session.current = thread
    session.tell_joined(frames.re_of(command.id), subscription)
    subscription.start()


async def unsubscribe(session: Session, command: commands.Unsubscribe) -> bytes:
    """Follow it no longer; what was not followed is fine too."""
    if (command.feed is None) == (command.thread_id is None):
        raise InvalidRequest("Give thread_id or feed, one of them.", field="thread_id")
    if command.thread_id is not None:
        _leave(session, ids.from_public(ids.THREAD, command.thread_id))
    elif session.feed is not None:
        feed, session.feed = session.feed, None
        session.services.delivery.unsubscribe_user(feed)
    return b"{}"


def _leave(session: Session, thread: str) -> None:
    subscription = session.subscriptions.pop(thread, None)
    if subscription is not None:
        session.services.delivery.unsubscribe(subscription)
    if session.current == thread:
        session.current = None


def _check_room(session: Session) -> None:
    limit = session.principal.limits.subscriptions_per_socket
    if limit and len(session.subscriptions) + (session.feed is not None) >= limit:
        raise TooMany(f"{limit} subscriptions are open on this socket.")
