"""Services with a mechanism broken in their process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from typing_extensions import override

from ..support.service import ServiceProcess

ROOT: Final = Path(__file__).parents[2]
_PATHS: Final = {"PYTHONPATH": f"{ROOT}:{ROOT / 'service'}"}
"""With which a service finds its sabotages."""


class SabotagedProcess(ServiceProcess):
    """`threadkeep serve` with a mechanism broken in its process."""

    def __init__(self, sabotage: str, *words: Any) -> None:
        super().__init__(*words)
        self._sabotage = sabotage

    @override
    def command(self) -> list[str]:
        return sabotaged(super().command(), self._sabotage)

    @override
    def environment(self) -> dict[str, str]:
        return super().environment() | _PATHS


def sabotaged(command: Sequence[str], sabotage: str) -> list[str]:
    """The command of a service with the sabotage in it."""
    place = command.index("threadkeep")
    return [*command[:place], "tests.sabotage", sabotage, *command[place + 1 :]]


def sabotage_all(sabotage: str) -> None:
    """Have every service that this process starts from now on be a sabotaged one."""
    command, environment = ServiceProcess.command, ServiceProcess.environment

    def broken_command(self: ServiceProcess) -> list[str]:
        return sabotaged(command(self), sabotage)

    def broken_environment(self: ServiceProcess) -> dict[str, str]:
        return environment(self) | _PATHS

    ServiceProcess.command = broken_command  # type: ignore[method-assign]
    ServiceProcess.environment = broken_environment  # type: ignore[method-assign]
