"""`threadkeep admin …`: tenants, keys, tokens and agents, straight in the database.

Settings come from the environment, as for `threadkeep serve`. Tokens need the platform key.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar

import click
import msgspec

from threadkeep.domain import ids
from threadkeep.domain.configuration import NewAgent, NewKey, NewTenant
from threadkeep.domain.limits import TIERS
from threadkeep.domain.listing import Listing
from threadkeep.domain.scopes import SCOPES, USER_SCOPES
from threadkeep.errors import InvalidRequest, NotFound
from threadkeep.services.access.sealing import Sealer
from threadkeep.services.tenants import Tenants
from threadkeep.services.windows import PageRequest
from threadkeep.settings import load
from threadkeep.storage.database import Database
from threadkeep.web.handlers.agents import agent_object
from threadkeep.web.handlers.tenants import key_object, tenant_object

ACTOR: Final = "admin"
"""Who did it, in the audit."""
_PAGE: Final = 100

Answer = dict[str, Any]
Made = TypeVar("Made")
Item = TypeVar("Item")

_tenant = click.option("--tenant", required=True, metavar="ten_…", help="The tenant's id.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def admin() -> None:
    """Configure tenants in the database at THREADKEEP_DATABASE_URL."""


@admin.group()
def tenant() -> None:
    """Tenants."""


@admin.group()
def key() -> None:
    """API keys."""


@admin.group()
def token() -> None:
    """User tokens."""


@admin.group()
def agent() -> None:
    """Agents."""


@tenant.command("create")
@click.argument("name")
@click.option("--tier", type=click.Choice(sorted(TIERS)), default="free", show_default=True)
@_json
def create_tenant(name: str, tier: str, *, as_json: bool) -> None:
    """Make a tenant called NAME."""

    async def create(tenants: Tenants) -> Answer:
        new = _shaped({"name": name, "tier": tier}, NewTenant)
        return tenant_object(await tenants.create(new, actor=ACTOR))

    _show(_run(create), "id", as_json=as_json)


@tenant.command("list")
@_json
def list_tenants(*, as_json: bool) -> None:
    """Show all tenants, in the order in which they were made."""
    rows = _run(lambda tenants: _all(tenants.list, tenant_object))
    _show_rows(rows, ("id", "name", "tier", "disabled", "created_at"), as_json=as_json)


@key.command("create")
@_tenant
@click.option("--name", default="key", show_default=True, help="What the key is for.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(sorted(SCOPES)))
@click.option("--days", type=click.IntRange(1, 36_500), help="Days until it expires.")
@_json
def create_key(
    tenant: str, name: str, scopes: tuple[str, ...], days: int | None, *, as_json: bool
) -> None:
    """Make an API key; it is shown only now. Without --scope it may do all but configure."""

    async def create(tenants: Tenants) -> Answer:
        expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
        given = {"name": name, "scopes": list(scopes) or None, "expires_at": expires_at}
        new = _shaped(given, NewKey)
        made, bearer = await tenants.keys.create(_tenant_id(tenant), new, actor=ACTOR)
        return key_object(made) | {"secret": bearer}

    _show(_run(create), "secret", as_json=as_json)


@key.command("revoke")
@_tenant
@click.argument("key_id", metavar="KEY")
@_json
def revoke_key(tenant: str, key_id: str, *, as_json: bool) -> None:
    """End the API key KEY (key_…) within five seconds."""

    async def revoke(tenants: Tenants) -> Answer:
        digits = ids.from_public(ids.KEY, key_id)
        return key_object(await tenants.keys.revoke(_tenant_id(tenant), digits, actor=ACTOR))

    _show(_run(revoke), "id", as_json=as_json)


@key.command("list")
@_tenant
@_json
def list_keys(tenant: str, *, as_json: bool) -> None:
    """Show a tenant's API keys without their secrets, the revoked ones too."""
    rows = _run(lambda tenants: _all_of(tenants, tenants.keys.list, tenant, key_object))
    _show_rows(
        rows, ("id", "name", "created_at", "expires_at", "revoked_at", "scopes"), as_json=as_json
    )


@token.command("create")
@_tenant
@click.option("--user", required=True, help="Whom the token is for.")
@click.option("--seconds", default=3600, show_default=True, help="How long it holds.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(sorted(USER_SCOPES)))
@_json
def create_token(
    tenant: str, user: str, seconds: int, scopes: tuple[str, ...], *, as_json: bool
) -> None:
    """Make a user's token; without --scope it may do what a user may."""

    async def create(tenants: Tenants) -> Answer:
        made = await tenants.issuers.mint_token(
            _tenant_id(tenant), user, seconds=seconds, scope=scopes or None, actor=ACTOR
        )
        return {"token": made, "tenant_id": tenant, "user": user, "seconds": seconds}

    _show(_run(create), "token", as_json=as_json)


@agent.command("create")
@_tenant
@click.option("--name", required=True, help="How runs name it.")
@click.option("--kind", type=click.Choice(["librarian", "scripted", "worker"]), required=True)
@click.option("--settings", default="{}", help='JSON object, such as {"steps": […]}.')
@_json
def create_agent(tenant: str, name: str, kind: str, settings: str, *, as_json: bool) -> None:
    """Make an agent."""

    async def create(tenants: Tenants) -> Answer:
        new = _shaped({"name": name, "kind": kind, "settings": _object(settings)}, NewAgent)
        return agent_object(await tenants.agents.create(_tenant_id(tenant), new, actor=ACTOR))

    _show(_run(create), "id", as_json=as_json)


@agent.command("list")
@_tenant
@_json
def list_agents(tenant: str, *, as_json: bool) -> None:
    """Show a tenant's agents."""
    rows = _run(lambda tenants: _all_of(tenants, tenants.agents.list, tenant, agent_object))
    _show_rows(rows, ("id", "name", "kind", "created_at"), as_json=as_json)


def _run(use: Callable[[Tenants], Awaitable[Made]]) -> Made:
    async def run() -> Made:
        async with _open() as tenants:
            return await use(tenants)

    return asyncio.run(run())


@asynccontextmanager
async def _open() -> AsyncIterator[Tenants]:
    settings = load(os.environ)
    database = Database(settings)
    await database.open()
    try:
        yield Tenants(database, Sealer(settings.platform_key))
    finally:
        await database.aclose()


async def _all(
    page: Callable[[PageRequest], Awaitable[Listing[Item]]], shown: Callable[[Item], Answer]
) -> list[Answer]:
    """The items of all pages."""
    rows: list[Answer] = []
    after: str | None = None
    while True:
        found = await page(PageRequest(_PAGE, after))
        rows += map(shown, found.items)
        if not found.has_more:
            return rows
        after = found.next


async def _all_of(
    tenants: Tenants,
    page: Callable[[str, PageRequest], Awaitable[Listing[Item]]],
    tenant: str,
    shown: Callable[[Item], Answer],
) -> list[Answer]:
    """The same of a tenant, which must exist."""
    digits = _tenant_id(tenant)
    try:
        await tenants.get(digits)
    except NotFound as exc:
        raise NotFound(f"There is no tenant {tenant}.") from exc
    return await _all(partial(page, digits), shown)


def _tenant_id(value: str) -> str:
    try:
        return ids.from_public(ids.TENANT, value)
    except NotFound as exc:
        raise click.BadParameter("A tenant's id looks like ten_… with 32 digits.") from exc


def _object(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except ValueError as exc:
        raise click.BadParameter(f"This is not JSON: {exc}.") from exc


def _shaped(given: dict[str, Any], shape: type[Any]) -> Any:
    try:
        return msgspec.convert(given, shape)
    except msgspec.ValidationError as exc:
        raise InvalidRequest(str(exc)) from exc


def _show(answer: Answer, field: str, *, as_json: bool) -> None:
    """Print everything as JSON, or the one value that a script goes on with."""
    click.echo(json.dumps(answer, indent=2) if as_json else answer[field])


def _show_rows(rows: list[Answer], columns: Sequence[str], *, as_json: bool) -> None:
    """Print everything as JSON, or the columns that tell them apart, as `kubectl get` does."""
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    cells = [[each.upper() for each in columns]]
    cells += [[_cell(row[name]) for name in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        click.echo("   ".join(padded).rstrip())


def _cell(value: Any) -> str:
    if isinstance(value, list):
        value = ",".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = "-" if value is None or value == "" else str(value)
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
