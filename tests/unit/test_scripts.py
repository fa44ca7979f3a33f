"""Scripts are checked before anything of them is played."""

from __future__ import annotations

from typing import Any

import pytest

from threadkeep.domain.scripts import parse_script
from threadkeep.errors import InvalidRequest


@pytest.mark.parametrize(
    "step",
    [
        {"think": "a"},
        {"think": {"thought": "a", "progress_percentage": 30}},
        {"tool": {"name": "t", "results": None}},
        {"tool": {"name": "t", "error": "e", "after_ms": 5}},
        {"say": "a"},
        {"say": {"text": "a", "piece": 1, "every_ms": 5}},
        {"require_action": {"calls": [{"tool_name": "t"}]}},
        {"fail": "e"},
        {"wait_ms": 0},
    ],
)
def test_each_kind_of_step_is_taken(step: dict[str, Any]) -> None:
    assert len(parse_script({"steps": [step]}).steps) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"steps": []},
        {"steps": [{}]},
        {"steps": [{"think": "a", "say": "b"}]},
        {"steps": [{"dance": "a"}]},
        {"steps": [{"tool": {"name": "t"}}]},
        {"steps": [{"tool": {"name": "t", "results": 1, "error": "e"}}]},
        {"steps": [{"wait_ms": 60_001}]},
        {"steps": [{"wait_ms": -1}]},
        {"steps": [{"say": ""}]},
        {"steps": [{"require_action": {"calls": []}}]},
        {"steps": [{"say": "a"}], "more": 1},
    ],
)
def test_what_is_no_script_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        parse_script(settings)
