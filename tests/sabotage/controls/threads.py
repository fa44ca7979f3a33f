"""Controls of what is kept: states, order, versions, keys, acknowledgements and runs."""

from __future__ import annotations

from typing import Final

from ..mechanisms.statements import Rewrite
from .shape import Control, Red

CONTROLS: Final = [
    Control(
        name="acknowledged-early",
        breaks="an append is acknowledged before its commit, and some commits fail",
        process="acknowledged-early",
        is_staged=True,
        reds=[
            Red(
                "persistence/durability",
                "persistence/test_durability.py::test_kills_lose_nothing_acknowledged",
                r"acknowledged and lost|got another answer",
            ),
        ],
    ),
    Control(
        name="no-reaper",
        breaks="nobody looks for holders that are gone",
        process="no-reaper",
        reds=[
            Red(
                "lifecycle/recovery after interruption",
                "lifecycle/test_recovery.py::test_a_killed_workers_run_goes_on_from_its_last_event",
                r"the interrupted run was still False",
            ),
        ],
    ),
    Control(
        name="any-transition",
        breaks="the state machine lets every action through",
        process="any-transition",
        reds=[
            Red(
                "lifecycle/state transitions",
                "lifecycle/test_states.py::test_every_pair_of_state_and_action_is_as_documented",
                r"wrong == \[\]",
            ),
        ],
    ),
    Control(
        name="gaps-in-seq",
        breaks="a batch takes one seq more than it has entries",
        steps=[
            Rewrite(
                "append_batch",
                "last_seq = h.last_seq + g.n",
                "last_seq = h.last_seq + g.n + 1",
            ),
        ],
        reds=[
            Red(
                "lifecycle/message association and order",
                "lifecycle/test_order.py::test_parallel_posts_leave_neither_gap_nor_repeat",
                r"list\(range\(first",
            ),
        ],
    ),
    Control(
        name="versions-ignored",
        breaks="If-Match is not looked at",
        process="versions-ignored",
        reds=[
            Red(
                "lifecycle/concurrent operations",
                "lifecycle/test_concurrency.py::test_of_parallel_updates_at_one_version_one_succeeds",
                r"too many values to unpack|statuses ==",
            ),
        ],
    ),
    Control(
        name="keys-ignored",
        breaks="idempotency keys are not kept",
        process="keys-ignored",
        reds=[
            Red(
                "lifecycle/concurrent operations",
                "lifecycle/test_concurrency.py::test_one_key_used_twenty_times_at_once_is_one_row",
                r"rows == 1",
            ),
        ],
    ),
    Control(
        name="metadata-replaced",
        breaks="an update replaces the metadata instead of merging them",
        steps=[Rewrite("merge_patch", "'object' THEN p_target", "'object' THEN '{}'::jsonb")],
        reds=[
            Red(
                "lifecycle/metadata evolution",
                "lifecycle/test_metadata.py::test_five_updates_are_read_through_the_other_process",
                r"seen == expected",
            ),
            Red(
                "lifecycle/metadata evolution",
                "lifecycle/test_metadata.py::test_two_writers_of_different_keys_are_both_kept",
                r"kept == ",
            ),
        ],
    ),
]
