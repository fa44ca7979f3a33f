"""What is broken under load, and what must turn red."""

from __future__ import annotations

from typing import Final

from .shape import Control, Red

_CONNECTIONS: Final = "scaling/test_database_connections.py::"
_BURSTS: Final = f"{_CONNECTIONS}test_bursts_stay_within_the_cap_and_leak_nothing"
_WAITS: Final = f"{_CONNECTIONS}test_who_waits_in_vain_is_told_when_to_come_back"

CONTROLS: Final[list[Control]] = [
    Control(
        name="one-connection",
        breaks="all requests of a process but appends share one slow connection",
        process="one-connection",
        reds=[
            Red(
                "scaling/concurrent users",
                "scaling/test_concurrent_users.py::test_active_users_from_ten_to_two_hundred",
                r"latency, last level to first .*: failed|throughput of a user, kept .*: failed",
            ),
        ],
    ),
    Control(
        name="frames-dropped",
        breaks="every seventh frame is sent to nobody",
        process="frames-dropped",
        reds=[
            Red(
                "scaling/concurrent users",
                "scaling/test_concurrent_users.py::test_a_thousand_connected_users",
                r"level\.is_right",
            ),
        ],
    ),
    Control(
        name="whole-thread-first",
        breaks="a page is read after all that stands before it",
        process="whole-thread-first",
        reds=[
            Red(
                "scaling/data volume",
                "scaling/test_data_volume.py::test_a_growing_thread",
                r"ratio < LOOSE|last, longest to shortest .*: failed",
            ),
        ],
    ),
    Control(
        name="keeps-messages",
        breaks="every message leaves 4 KB in the process",
        process="keeps-messages",
        reds=[
            Red(
                "scaling/memory",
                "scaling/test_memory.py::test_stored_data_leaves_memory_alone",
                r"before \* \(1 \+ GROWTH\)",
            ),
        ],
    ),
    Control(
        name="fat-sockets",
        breaks="every socket takes 300 KB",
        process="fat-sockets",
        reds=[
            Red(
                "scaling/memory",
                "scaling/test_memory.py::test_open_sockets_take_little_each",
                r"each < PER_SOCKET_MB",
            ),
        ],
    ),
    Control(
        name="wide-pool",
        breaks="a process takes more connections than it was given",
        process="wide-pool",
        reds=[Red("scaling/database connections", _BURSTS, r"max\(watch\.counts\) <= cap")],
    ),
    Control(
        name="leaky-pool",
        breaks="every fiftieth connection is not given back",
        process="leaky-pool",
        reds=[
            Red(
                "scaling/database connections",
                _BURSTS,
                r"level\.errors|a moment without a connection in use",
            )
        ],
    ),
    Control(
        name="probes-in-pool",
        breaks="a process whose pool is busy calls itself not ready",
        process="probes-in-pool",
        is_staged=True,
        reds=[Red("scaling/database connections", _WAITS, r"set\(ready\) == \{200\}")],
    ),
    Control(
        name="patience",
        breaks="a request waits for the database without a limit",
        process="patience",
        is_staged=True,
        reds=[
            Red(
                "scaling/database connections",
                _WAITS,
                r"ReadTimeout",
            )
        ],
    ),
]
