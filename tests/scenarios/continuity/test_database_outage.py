"""The database goes away and comes back: nobody is lied to, nothing is lost, all goes on."""

from __future__ import annotations

import pytest

from ..figures import Figures
from ..levels import Levels
from ..stage import Stage
from .outages import How, endure

pytestmark = [
    pytest.mark.scenario("continuity", "database outage"),
    pytest.mark.timeout(900),
]


@pytest.mark.parametrize("how", ["killed", "blocked"])
async def test_an_outage_under_load(
    how: How, durable_stage: Stage, levels: Levels, figures: Figures
) -> None:
    """The server is killed, or answers no more; after a while it is back."""
    await endure(how, durable_stage, levels.outage_seconds, figures)
