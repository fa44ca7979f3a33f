"""What a control is: a broken mechanism, and the tests that must turn red."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ..mechanisms.statements import Step

_PLACE: Final = "tests/scenarios/"


@dataclass(frozen=True)
class Red:
    """A scenario test that must fail, and what its failure must say."""

    row: str
    """category/name of the catalogue."""
    where: str
    """Below tests/scenarios."""
    reason: str
    """A regular expression."""

    @property
    def test(self) -> str:
        """Its node id."""
        return _PLACE + self.where


@dataclass(frozen=True, kw_only=True)
class Control:
    """One mechanism, broken in the service's process, in its database, or in both."""

    name: str
    breaks: str
    """For the report: what does not work any more."""
    reds: list[Red]
    process: str | None = None
    """A sabotage of `mechanisms`."""
    steps: list[Step] = field(default_factory=list)
    """What is done to the database."""
    processes: int = 1
    """How many the deployment has; what only shows between two of them needs two."""
    is_staged: bool = False
    """Whether the tests start services of their own, to kill them, with `process` broken."""
