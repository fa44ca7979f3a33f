"""Controls of figures: times, plans and fairness."""

from __future__ import annotations

from typing import Final

from ..mechanisms.statements import Rewrite
from .shape import Control, Red

CONTROLS: Final = [
    Control(
        name="slow-writes",
        breaks="creating and changing a thread takes 250 ms more",
        process="slow-writes",
        reds=[
            Red(
                "lifecycle/performance",
                "lifecycle/test_latency.py::test_creation_and_update_one_after_the_other",
                r"create avg .*: failed",
            ),
            Red(
                "performance/creation",
                "performance/test_creation.py::test_creations_in_a_row",
                r"bulk of 5, each .*: failed",
            ),
        ],
    ),
    Control(
        name="pages-by-scan",
        breaks="a page is found by reading the whole table",
        steps=[
            Rewrite("read_entries", "SET enable_seqscan TO 'off'", "SET enable_indexscan TO 'off'"),
        ],
        reds=[
            Red(
                "performance/retrieval",
                "performance/test_retrieval.py::test_pages_are_read_by_an_index_and_no_further",
                r"assert is_cheap\(",
            ),
        ],
    ),
    Control(
        name="one-user-waits",
        breaks="one user waits behind all others",
        process="one-user-waits",
        reds=[
            Red(
                "performance/concurrent access",
                "performance/test_concurrent_access.py::test_twenty_users_with_five_threads_each",
                r"slowest < UNFAIR",
            ),
        ],
    ),
]
