"""`threadkeep migrate`: bring the database to this version's schema."""

from __future__ import annotations

import os

import click

from threadkeep import logs
from threadkeep.settings import load
from threadkeep.storage import migrate as migrations


@click.command()
@click.option("--revision", default="head", show_default=True, help="Where to migrate to.")
def migrate(revision: str) -> None:
    """Migrate the database at THREADKEEP_DATABASE_DIRECT_URL, as the owner of its schema.

    Does nothing where the schema is up to date. Two that run at once take turns.
    """
    settings = load(os.environ)
    logs.configure(level=settings.log_level, fmt=settings.log_format)
    migrations.upgrade(settings.direct_url, revision)
    click.echo("The schema is up to date.")
