"""The composition root: opens one process' services in order and closes them in reverse."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Final, Protocol, TypeVar

import msgspec
from aiohttp import web

from threadkeep import metrics
from threadkeep.agents.runner import Runner
from threadkeep.domain import limits
from threadkeep.domain.entries import Entry
from threadkeep.services.access.credentials import Credentials
from threadkeep.services.access.sealing import Sealer
from threadkeep.services.audit import Audit
from threadkeep.services.audit_log import AuditLog
from threadkeep.services.catalog import Services
from threadkeep.services.delivery import Counts, Delivery
from threadkeep.services.journal import Journal
from threadkeep.services.messages import Messages
from threadkeep.services.probes import Probes
from threadkeep.services.projector import Projector
from threadkeep.services.rates import Rates
from threadkeep.services.runs import Runs
from threadkeep.services.search import Search
from threadkeep.services.tenants import Tenants
from threadkeep.services.threads import Threads
from threadkeep.settings import Settings
from threadkeep.storage.appender import Appender
from threadkeep.storage.appends import Appended, Item
from threadkeep.storage.database import Database
from threadkeep.storage.shared_rates import SharedRates
from threadkeep.storage.wakeups import Wakeups, wakeups_for
from threadkeep.web.fetching import fetch_with, key_session
from threadkeep.web.greetings import GREETINGS, Greetings
from threadkeep.web.keys import DOCUMENT, LIFECYCLE, SERVICES, SETTINGS, Lifecycle
from threadkeep.web.live import LIVE, Live
from threadkeep.web.middleware import edge, on_prepare
from threadkeep.web.openapi import document
from threadkeep.web.outcomes import REQUESTS
from threadkeep.web.quick_appends import QUICK_APPENDS, QuickAppends
from threadkeep.web.routes import TABLE, add_routes

LEAST_SECONDS: Final = 1.0
"""Time of a drain without sockets: answers meanwhile tell their clients to go elsewhere."""
FINISH_SECONDS: Final = 5.0
"""What appends in flight have to be answered; those of a healthy database take milliseconds."""
GARBAGE: Final = (5000, 20, 20)
"""Objects, and younger collections, between two collections. Python's 700 are made by a few
requests at once, which are then looked through although none of them is garbage."""


def create_app(settings: Settings) -> web.Application:
    """An application that opens its services when it is started, and closes them when stopped."""
    app = web.Application(client_max_size=limits.BODY_BYTES, middlewares=[edge])
    app[SETTINGS] = settings
    app[LIFECYCLE] = Lifecycle()
    app[GREETINGS] = Greetings()
    app[LIVE] = Live()
    app[QUICK_APPENDS] = QuickAppends(app)
    app[DOCUMENT] = msgspec.json.encode(document(TABLE))
    add_routes(app)
    app.on_response_prepare.append(on_prepare)
    app.cleanup_ctx.append(_services)
    app.on_shutdown.append(_close_connections)
    return app


async def drain(app: web.Application) -> None:
    """Say that this process is leaving, and tell sockets and streams to go elsewhere.

    Where there are none, connections that are kept alive still get the time to hear it.
    """
    app[LIFECYCLE].draining = True
    app[SERVICES].runs.stop_waiting()
    seconds = app[SETTINGS].drain_seconds
    await asyncio.gather(
        app[LIVE].drain(seconds),
        app[QUICK_APPENDS].finish(FINISH_SECONDS),
        asyncio.sleep(min(seconds, LEAST_SECONDS)),
    )


async def _close_connections(app: web.Application) -> None:
    """Where nobody has drained before, as in tests, there is no time for it."""
    app[LIFECYCLE].draining = True
    await app[LIVE].drain(0)
    await app[QUICK_APPENDS].finish(FINISH_SECONDS)


async def _services(app: web.Application) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        app[SERVICES] = await open_services(app[SETTINGS], stack)
        await _running(app[LIVE], stack)
        quick = app[QUICK_APPENDS]
        metrics.tally("http_quick_appends", "Appends without aiohttp's part", lambda: quick.taken)
        gc.collect()
        gc.freeze()  # what lives as long as the process is never looked at again
        gc.set_threshold(*GARBAGE)
        stack.callback(REQUESTS.flush)
        yield


async def open_services(settings: Settings, stack: AsyncExitStack) -> Services:
    """Open everything, each part registered with `stack` before the next one is opened."""
    database = Database(settings)
    stack.push_async_callback(database.aclose)
    await database.open()
    rates = Rates(settings)
    if settings.redis_url:
        shared = await _running(SharedRates(settings.redis_url, rates.charge), stack)
        rates.share(shared.spent)
    sealer = Sealer(settings.platform_key)
    audit = await _running(Audit(database), stack)
    session = await stack.enter_async_context(key_session())
    credentials = await _running(
        Credentials(database, settings, sealer=sealer, audit=audit, fetch=fetch_with(session)),
        stack,
    )
    wakeups = wakeups_for(settings, database)
    delivery = await _running(Delivery(database, wakeups), stack)
    projector = await _running(Projector(database), stack)
    grown = Grown(audit, delivery, projector)
    journal = Journal(database, grown.published)
    appender = await _running(Appender(database, settings, grown.committed), stack)
    projector.yield_to(appender.waiting)
    runs = Runs(database, journal, delivery.publish_partial, rates)
    await _running(runs.reaper, stack)
    messages = Messages(database, appender, rates)
    search = Search(database)
    await _running(Runner(runs, messages, search), stack)
    probes = Probes(database)
    stack.push_async_callback(probes.aclose)
    probes.watch("wakeups", lambda: not wakeups.is_connected)
    _measure(database, appender, wakeups, delivery.counts)
    metrics.sample("database_up", "1 while the database answers", lambda: probes.is_answered)
    return Services(
        audit=audit,
        audit_log=AuditLog(database),
        credentials=credentials,
        delivery=delivery,
        messages=messages,
        probes=probes,
        rates=rates,
        runs=runs,
        search=search,
        tenants=Tenants(database, sealer),
        threads=Threads(database, journal),
    )


def _measure(database: Database, appender: Appender, wakeups: Wakeups, counts: Counts) -> None:
    """Show what the parts count by themselves: read when scraped, free otherwise."""
    sample = metrics.sample
    sample("appends_waiting", "Requests to append without a verdict", appender.waiting)
    sample("database_connections", "Open connections of the pool", lambda: database.usage()[0])
    sample("database_connections_busy", "Those in use", lambda: database.usage()[1])
    sample("database_connections_limit", "Size of the pool", lambda: database.pool_size)
    sample("wakeups_connected", "1 while other processes are heard", lambda: wakeups.is_connected)
    for name in ("sent", "received", "dropped", "failures"):
        text = f"Wake-ups, {name}"
        metrics.tally(f"wakeups_{name}", text, partial(getattr, wakeups, name))
    sample("subscriptions", "Open subscriptions", lambda: counts.subscriptions)
    for name in ("joins", "forks", "pumps", "repairs", "sweeps", "failures", "delivered"):
        text = f"Delivery since the start: {name}"
        metrics.tally(f"delivery_{name}", text, partial(getattr, counts, name))


async def _running(part: Running, stack: AsyncExitStack) -> Running:
    """Start a part that has background work, and have it closed before what it stands on."""
    stack.push_async_callback(part.aclose)
    started = part.start()
    if started is not None:
        await started
    return part


class Part(Protocol):
    """Something with background work."""

    def start(self) -> Awaitable[None] | None:
        """Begin it."""

    async def aclose(self) -> None:
        """End it."""


Running = TypeVar("Running", bound=Part)


class Grown:
    """Tells those who follow the log what a commit has added to it."""

    def __init__(self, audit: Audit, delivery: Delivery, projector: Projector) -> None:
        self._audit = audit
        self._delivery = delivery
        self._projector = projector

    def committed(self, grown: Sequence[tuple[Item, Appended]]) -> None:
        """Messages of one batch, before their callers are answered."""
        self._delivery.committed(grown)
        messages = 0
        for item, _ in grown:
            n = len(item.drafts)
            messages += n
            self._audit.appended(item.tenant, item.owner, item.actor, item.thread, n)
            self._projector.mark(item.tenant, item.thread)
        metrics.APPENDED.inc(messages)
        metrics.BATCH_REQUESTS.observe(len(grown))

    def published(self, owner: str, entries: Sequence[Entry]) -> None:
        """Entries of one transaction on a thread."""
        self._delivery.publish(owner, entries)
        self._projector.mark(entries[0].tenant, entries[0].thread)
