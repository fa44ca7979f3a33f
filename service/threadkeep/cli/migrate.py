"""`threadkeep migrate`: bring the database to this version's schema."""

from __future__ import annotations

import asyncio
import os

import click

from threadkeep import logs
from threadkeep.settings import load
from threadkeep.storage import migrate as migrations
from threadkeep.storage import roles


@click.command()
@click.option("--revision", default="head", show_default=True, help="Where to migrate to.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Try again for so long while the database is away or its tables are in use.",
)
def migrate(revision: str, wait: float) -> None:
    """Migrate the database at THREADKEEP_DATABASE_URL, as the owner of its schema.

    THREADKEEP_DATABASE_DIRECT_URL, where it is set, is the way to it instead.
    THREADKEEP_APP_PASSWORD(_FILE), where it is set, becomes the password of `threadkeep_app`.
    Does nothing where the schema is up to date or newer. Two that run at once take turns.
    """
    settings = load(os.environ)
    logs.configure(level=settings.log_level, fmt=settings.log_format)
    migrations.upgrade(settings.direct_url, revision, wait_seconds=wait)
    if settings.app_password:
        asyncio.run(roles.allow_login(settings.direct_url, roles.APP, settings.app_password))
    click.echo("The schema is up to date.")
