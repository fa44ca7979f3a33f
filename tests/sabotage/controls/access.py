"""Controls of who may see what."""

from __future__ import annotations

from typing import Final

from ..mechanisms.statements import Rewrite, opened
from .shape import Control, Red

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
]
