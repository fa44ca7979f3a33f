"""Scripts of agents of the kind `scripted`: a list of declared steps, honest about being one."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from threadkeep.domain.messages import Name
from threadkeep.domain.run_payloads import Text
from threadkeep.errors import InvalidRequest

WAIT_MS: Final = 60_000
"""Longest wait of one step."""

Wait = Annotated[int, msgspec.Meta(ge=0, le=WAIT_MS)]


class ThinkStep(msgspec.Struct, forbid_unknown_fields=True):
    """agent_thinking."""

    thought: Text
    progress_percentage: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None


class ToolStep(msgspec.Struct, forbid_unknown_fields=True):
    """A tool call with declared results or a declared error."""

    name: Name
    input: dict[str, Any] = {}
    results: Any = UNSET
    error: Text | UnsetType = UNSET
    after_ms: Wait = 0


class SayStep(msgspec.Struct, forbid_unknown_fields=True):
    """A message; its text streams in pieces."""

    text: Text
    piece: Annotated[int, msgspec.Meta(ge=1)] = 48
    """Characters that stream at once."""
    every_ms: Wait = 0
    """Pause after each piece."""


class ActionCall(msgspec.Struct, forbid_unknown_fields=True):
    """A tool call that the user answers."""

    tool_name: Name
    tool_input: dict[str, Any] = {}


class ActionStep(msgspec.Struct, forbid_unknown_fields=True):
    """requires_action."""

    calls: Annotated[list[ActionCall], msgspec.Meta(min_length=1, max_length=20)]
    reason: Text | None = None


class Step(msgspec.Struct, forbid_unknown_fields=True):
    """One step: exactly one of these is given."""

    think: Text | ThinkStep | None = None
    tool: ToolStep | None = None
    say: Text | SayStep | None = None
    require_action: ActionStep | None = None
    fail: Text | None = None
    wait_ms: Wait | None = None

    def __post_init__(self) -> None:
        """Refuse a step that is none or several, and a tool without one outcome."""
        given = [name for name in self.__struct_fields__ if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("a step is exactly one of " + ", ".join(self.__struct_fields__))
        if self.tool is not None and (self.tool.results is UNSET) == (self.tool.error is UNSET):
            raise ValueError("a tool has either results or an error")


class Script(msgspec.Struct, forbid_unknown_fields=True):
    """Settings of a scripted agent."""

    steps: Annotated[list[Step], msgspec.Meta(min_length=1, max_length=1000)]


def parse_script(settings: dict[str, Any]) -> Script:
    """The script in an agent's settings; `InvalidRequest` says what is wrong with it."""
    try:
        return msgspec.convert(settings, Script)
    except msgspec.ValidationError as exc:
        raise InvalidRequest(str(exc), field="settings") from exc
