"""What is broken, and what must turn red."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from .mechanisms.statements import Rewrite, Step, opened

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


CONTROLS: Final = [
    Control(
        name="search-forgets-owner",
        breaks="search looks through the messages of all users",
        process="words-of-nobody",
        steps=[
            Rewrite("search_messages", ".owner = p_owner", ".owner IS NOT NULL"),
            Rewrite("search_threads", ".owner = p_owner", ".owner IS NOT NULL"),
        ],
        reds=[
            Red(
                "lifecycle/creation with user isolation",
                "lifecycle/test_creation.py::test_search_finds_ones_own_words_only",
                r"await hits\(bob\) == \[\]",
            ),
            Red(
                "isolation/concurrent multi-user",
                "isolation/test_concurrent_users.py::test_canaries_stay_with_their_users",
                r"foreign == \[\]|a canary of somebody else",
            ),
        ],
    ),
    Control(
        name="search-forgets-tenant",
        breaks="search looks through the messages of all tenants",
        process="words-of-nobody",
        steps=[Rewrite("search_messages", ".tenant_id = p_tenant", ".tenant_id IS NOT NULL")],
        reds=[
            Red(
                "isolation/multi-tenant",
                "isolation/test_tenants.py::test_search_finds_ones_own_tenants_messages_only",
                r"len\(texts\) == 12|all\(",
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
        name="open-policy",
        breaks="row security lets the application see every entry",
        steps=opened("entries"),
        reds=[
            Red(
                "isolation/basic boundaries",
                "isolation/test_boundaries.py::test_without_a_principal_no_table_shows_a_row",
                r"seen == dict.fromkeys",
            ),
            Red(
                "isolation/basic boundaries",
                "isolation/test_boundaries.py::"
                "test_with_one_principal_no_table_shows_a_row_of_another",
                r"set\(foreign.values\(\)\) == ",
            ),
        ],
    ),
    Control(
        name="reads-forget-owner",
        breaks="a thread is read by its id, whoever asks",
        steps=[
            *opened("threads"),
            *opened("heads"),
            Rewrite("thread_row", ".owner = p_owner", ".owner IS NOT NULL"),
            Rewrite("thread_row", ".tenant_id = p_tenant", ".tenant_id IS NOT NULL"),
        ],
        reds=[
            Red(
                "lifecycle/creation with user isolation",
                "lifecycle/test_creation.py::test_random_probes_leak_nothing",
                r"leaks == \[\]",
            ),
            Red(
                "isolation/cross-user attempts",
                "isolation/test_cross_user.py::"
                "test_every_route_answers_a_foreign_id_like_a_random_one",
                r"different == \[\]",
            ),
            Red(
                "isolation/multi-tenant",
                "isolation/test_tenants.py::test_no_thread_is_reached_over_http",
                r"granted == \[\]",
            ),
        ],
    ),
    Control(
        name="deaf-audit",
        breaks="refusals are not written into the audit",
        process="deaf-audit",
        reds=[
            Red(
                "isolation/cross-user attempts",
                "isolation/test_cross_user.py::"
                "test_every_route_answers_a_foreign_id_like_a_random_one",
                r"the audit was still False",
            ),
        ],
    ),
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
                r"the server's counters|seq_scan",
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
