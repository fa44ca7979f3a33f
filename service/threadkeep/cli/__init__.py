"""The command `threadkeep`.

Exit codes: 0 fine, 1 failed, 2 wrong usage or settings, 3 a dependency is missing or too old.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

import click
from typing_extensions import override

from threadkeep import __version__
from threadkeep.errors import DependencyError, SettingsError, ThreadkeepError

FAILED: Final = 1
WRONG_USAGE: Final = 2
MISSING: Final = 3

COMMANDS: Final = {
    "dev": "Start PostgreSQL, a demo tenant and the service on this machine.",
    "serve": "Serve HTTP, SSE and WebSocket.",
    "migrate": "Bring the database to this version's schema.",
    "admin": "Make tenants, keys, agents and tokens.",
    "report": "Show what a run of the suites found.",
}
"""Each is the object of its name in the module of its name in this package; and what it does, so
that the list needs none of them."""


class Commands(click.Group):
    """Loads a command's module when it is asked for, so that each starts with what it needs."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"threadkeep.cli.{cmd_name}"), cmd_name)
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def threadkeep() -> None:
    """Durable, multi-tenant conversation threads for assistants, on PostgreSQL."""


def main() -> None:
    """Run a command; what fails becomes a sentence and an exit code."""
    try:
        threadkeep.main(prog_name="threadkeep")
    except ThreadkeepError as exc:
        click.echo(f"threadkeep: {exc.message}", err=True)
        sys.exit(exit_code(exc))


def exit_code(exc: ThreadkeepError) -> int:
    """The exit code that tells what kind of failure it was."""
    if isinstance(exc, SettingsError):
        return WRONG_USAGE
    return MISSING if isinstance(exc, DependencyError) else FAILED
