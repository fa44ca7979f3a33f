"""The order of run events: first agent_started, last and once agent_completed, calls in pairs."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from threadkeep.domain import events
from threadkeep.domain.events import Progress, progress_of
from threadkeep.errors import Conflict

CALLS = st.sampled_from(["a", "b"])
EVENTS = st.one_of(
    st.tuples(st.sampled_from([events.STARTED, events.THINKING]), st.none()),
    st.tuples(st.sampled_from([events.EXECUTING, events.TOOL_COMPLETED]), CALLS),
    st.tuples(
        st.sampled_from([events.COMPLETED, events.RESUMED, events.REQUIRES_ACTION]), st.none()
    ),
)
Event = tuple[str, str | None]


LETTERS = {
    events.STARTED: "S",
    events.THINKING: "t",
    events.EXECUTING: "e",
    events.TOOL_COMPLETED: "c",
    events.RESUMED: "R",
    events.REQUIRES_ACTION: "A",
    events.COMPLETED: "E",
}


def is_allowed(given_events: list[Event]) -> bool:
    """The rules once more, as patterns over the whole list."""
    whole = "".join(LETTERS[kind] for kind, _ in given_events)
    of_call = {
        wanted: "".join(LETTERS[kind] for kind, call in given_events if call in (wanted, None))
        for wanted in ("a", "b")
    }
    calls = {wanted: re.sub("[^ecE]", "", text) for wanted, text in of_call.items()}
    asked = [n for n, letter in enumerate(whole) if letter == "A"]
    return (
        re.fullmatch("|S[^SE]*E?", whole) is not None
        and all(re.fullmatch("(ec)*(e|E)?", text) for text in calls.values())
        and re.search("A[^R]*[teA]", whole) is None
        and all(whole[:n].count("e") > whole[:n].count("c") for n in asked)
    )


@given(st.lists(EVENTS, max_size=12))
def test_exactly_the_orders_of_the_protocol_are_taken(given_events: list[Event]) -> None:
    try:
        progress_of(given_events)
    except Conflict:
        assert not is_allowed(given_events)
    else:
        assert is_allowed(given_events)


@given(st.lists(EVENTS, max_size=60))
def test_what_is_taken_of_any_stream_is_a_whole_run(given_events: list[Event]) -> None:
    """Refused events change nothing: what remains is in order, however long the stream is."""
    progress, taken = Progress(), []
    for kind, call in [(events.STARTED, None), *given_events]:
        try:
            progress = progress.after(kind, call)
        except Conflict:
            continue
        taken.append((kind, call))

    assert is_allowed(taken)
    kinds = [kind for kind, _ in taken]
    assert progress.ended == (kinds[-1] == events.COMPLETED)
    assert kinds.count(events.COMPLETED) <= 1
