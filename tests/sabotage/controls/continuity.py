"""What is broken in outages, and what must turn red."""

from __future__ import annotations

from typing import Final

from .shape import Control, Red

_OUTAGE: Final = "continuity/test_database_outage.py::test_an_outage_under_load"

CONTROLS: Final[list[Control]] = [
    Control(
        name="write-behind",
        breaks="appends are acknowledged although the database is away",
        process="write-behind",
        is_staged=True,
        reds=[
            Red(
                "continuity/database outage",
                f"{_OUTAGE}[killed]",
                r"a refusal was still|falsely_served|acknowledged and lost|another answer",
            )
        ],
    ),
    Control(
        name="always-ready",
        breaks="a process whose database is away calls itself ready",
        process="always-ready",
        is_staged=True,
        reds=[Red("continuity/database outage", f"{_OUTAGE}[killed]", r"a refusal was still")],
    ),
    Control(
        name="no-warning",
        breaks="sockets are closed without being told before",
        process="no-warning",
        is_staged=True,
        reds=[
            Red(
                "continuity/planned maintenance",
                "continuity/test_service_restarts.py::test_a_rolling_restart",
                r"closed without being told",
            )
        ],
    ),
]
