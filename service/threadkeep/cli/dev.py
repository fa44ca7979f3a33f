"""`threadkeep dev`: everything on this machine with one command."""

from __future__ import annotations

from pathlib import Path

import click

from threadkeep.errors import InvalidRequest


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True)
@click.option("--ephemeral", is_flag=True, help="Keep nothing after the end.")
@click.option(
    "--data",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=".threadkeep",
    show_default=True,
    help="Folder for data, secrets and dev.json.",
)
@click.option("--demo/--no-demo", default=True, help="Import real dialogues.  [default: yes]")
@click.option("--languages", default="", help="Of these dialogues, comma separated; default: all.")
def dev(host: str, port: int, *, ephemeral: bool, folder: Path, demo: bool, languages: str) -> None:
    """Start PostgreSQL, a demo tenant and the service; Ctrl-C stops them."""
    # The embedded server is an extra: whoever only serves need not have it.
    from threadkeep.embedded import corpus  # noqa: PLC0415 - see above
    from threadkeep.embedded import dev as embedded  # noqa: PLC0415 - see above

    try:
        chosen = corpus.choose(_names(languages)) if demo else []
    except InvalidRequest as exc:
        raise click.BadParameter(exc.message, param_hint="--languages") from exc
    embedded.run(
        embedded.Options(host=host, port=port, folder=folder, ephemeral=ephemeral, languages=chosen)
    )


def _names(languages: str) -> list[str]:
    return [name.strip().lower() for name in languages.split(",") if name.strip()]
