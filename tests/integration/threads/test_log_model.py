"""One thread's log against a simple model of it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from typing_extensions import override

from tests.support.postgres import Database as GivenDatabase
from tests.support.postgres import Databases, in_thread
from threadkeep.domain.threads import ACTIONS
from threadkeep.errors import Conflict, Gone, IdempotencyMismatch

from .keeping import Keeping, keeping_on, payload

Result = TypeVar("Result")

_NEXT = {
    ("pause", "active"): "paused",
    ("resume", "paused"): "active",
    ("complete", "active"): "completed",
    ("complete", "paused"): "completed",
    **{("archive", state): "archived" for state in ("active", "paused", "completed")},
    **{("delete", s): "deleted" for s in ("active", "paused", "completed", "archived")},
}


class ThreadLog(RuleBasedStateMachine):
    """Appends, repeats, changes of state and restarts of the service, in any order."""

    given: GivenDatabase

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.keeping: Keeping = self.wait(self.stack.enter_async_context(keeping_on(self.given)))
        self.thread = self.wait(self.keeping.thread()).id
        self.said = ["thread_created"]
        self.keys: dict[str, tuple[str, int]] = {}
        self.states = ["active"]

    def wait(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """The result of a coroutine on this machine's loop."""
        return self.runner.run(coroutine)

    @rule(text=st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1))
    def append(self, text: str) -> None:
        """Something new is said."""
        self._say(text, None)

    @rule(key=st.sampled_from("abc"), text=st.sampled_from(["one", "two"]))
    def append_with_key(self, key: str, text: str) -> None:
        """A key is used, again or for the first time."""
        known = self.keys.get(key)
        if self.states[-1] == "deleted" or known is None:
            self._say(text, key)
        elif known[0] != text:
            with pytest.raises(IdempotencyMismatch):
                self.wait(self.keeping.say(self.thread, text, key=key))
        else:
            answer = self.wait(self.keeping.say(self.thread, text, key=key))
            assert (answer.first_seq, answer.repeated) == (known[1], True)

    @rule(action=st.sampled_from(ACTIONS))
    def act(self, action: str) -> None:
        """The thread is moved, or that is refused."""
        state = self.states[-1]
        acting = self.keeping.threads.act(self.keeping.ann, self.thread, action)
        goes_back = (action, state) in (("unarchive", "archived"), ("undelete", "deleted"))
        if not goes_back and (action, state) not in _NEXT:
            with pytest.raises(Gone if state == "deleted" else Conflict):
                self.wait(acting)
            return
        thread = self.wait(acting)
        if goes_back:
            self.states.pop()
        else:
            keeps = [state] if action in ("archive", "delete") else []
            self.states[-1:] = [*keeps, _NEXT[action, state]]
        assert thread.state == self.states[-1]
        self.said.append(action)

    @rule()
    def start_again(self) -> None:
        """Another process goes on."""
        tenant = self.keeping.ann.tenant
        self.wait(self.stack.aclose())
        self.keeping = self.wait(
            self.stack.enter_async_context(keeping_on(self.given, tenant=tenant))
        )

    @invariant()
    def the_log_is_what_was_said(self) -> None:
        """Gapless, strictly rising, and in the order in which it was said."""
        if self.states[-1] == "deleted":
            return
        entries = self.wait(self.keeping.log(self.thread))
        assert [entry.seq for entry in entries] == [*range(1, len(self.said) + 1)]
        assert all(one.at < other.at for one, other in itertools.pairwise(entries))
        told = [
            body.get("content") or body.get("action") or entry.kind
            for entry in entries
            for body in [payload(entry)]
        ]
        assert told == self.said

    @override
    def teardown(self) -> None:
        """Close what this run has opened."""
        self.wait(self.stack.aclose())
        self.runner.close()

    def _say(self, text: str, key: str | None) -> None:
        state = self.states[-1]
        saying = self.keeping.say(self.thread, text, key=key)
        if state not in ("active", "completed"):
            with pytest.raises(Gone if state == "deleted" else Conflict):
                self.wait(saying)
            return
        answer = self.wait(saying)
        if state == "completed":
            self.said.append("reopen")
            self.states[-1] = "active"
        self.said.append(text)
        assert answer.first_seq == len(self.said)
        assert not answer.repeated
        if key is not None:
            self.keys[key] = (text, answer.first_seq)


@pytest.mark.timeout(120)
def test_any_sequence_of_actions_leaves_the_log_that_the_model_says(databases: Databases) -> None:
    given = in_thread(lambda: asyncio.run(databases.create()))

    class OnThisDatabase(ThreadLog):
        pass

    OnThisDatabase.given = given
    limits = settings(
        max_examples=12,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(OnThisDatabase, settings=limits)
    finally:
        in_thread(lambda: asyncio.run(databases.drop(given.name)))
