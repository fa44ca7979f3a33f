"""Every error of the product has one answer, and the documentation knows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from threadkeep import errors
from threadkeep.errors import Conflict, InvalidRequest, ThreadkeepError, TooMany, Unavailable
from threadkeep.web.errors import (
    STATUS,
    MethodNotAllowed,
    error_body,
    error_response,
    status_of,
)
from threadkeep.web.schemas.common import ErrorObject

API = Path(__file__).parents[3] / "docs" / "api.md"
NEVER_ANSWERED = {errors.SettingsError, errors.DependencyError}


def kinds(base: type[ThreadkeepError] = ThreadkeepError) -> Iterator[type[ThreadkeepError]]:
    """The base class and all that are derived from it inside the service."""
    if base.__module__.startswith("threadkeep.") and "embedded" not in base.__module__:
        yield base
    for derived in base.__subclasses__():
        yield from kinds(derived)


KINDS = sorted(set(kinds()), key=lambda kind: kind.__name__)


def test_there_are_errors_to_check() -> None:
    assert len(KINDS) > 12


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_row(kind: type[ThreadkeepError]) -> None:
    assert kind in STATUS


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_answered_error_is_documented(kind: type[ThreadkeepError]) -> None:
    if kind in NEVER_ANSWERED:
        return
    table = [line for line in API.read_text("utf-8").splitlines() if line.startswith("| `")]
    rows = [line for line in table if line.startswith(f"| `{kind.code}` |")]

    assert rows, f"{kind.code} is missing in docs/api.md"
    assert str(STATUS[kind]) in rows[0]


def test_the_described_codes_are_the_errors_codes() -> None:
    described = set(get_args(get_type_hints(ErrorObject)["code"]))

    assert {kind.code for kind in KINDS if kind not in NEVER_ANSWERED} == described


def test_what_is_not_ours_tells_nothing_of_itself() -> None:
    status, body = error_body(ValueError("password=hunter2"), "r1")

    assert (status, body["error"]["code"]) == (500, "internal")
    assert "hunter2" not in str(body)


def test_our_own_internal_errors_tell_nothing_either() -> None:
    _, body = error_body(errors.SettingsError("THREADKEEP_PLATFORM_KEY: hunter2"), "r1")

    assert body["error"] == {
        "code": "internal",
        "message": ThreadkeepError().message,
        "request_id": "r1",
    }


def test_a_derived_error_is_answered_as_its_base() -> None:
    class Special(Conflict):
        """Derived elsewhere."""

    assert status_of(Special()) == 409


def test_malformed_and_misshapen_differ() -> None:
    assert status_of(InvalidRequest(malformed=True)) == 400
    assert status_of(InvalidRequest(field="title")) == 422
    assert status_of(MethodNotAllowed("GET")) == 405


def test_waiting_times_are_told_in_both_units() -> None:
    response = error_response(TooMany(retry_after=0.25), "r1")
    _, body = error_body(TooMany(retry_after=0.25), "r1")

    assert response.headers["Retry-After"] == "1"
    assert body["error"]["retry_after_ms"] == 250


def test_an_unknown_outcome_says_so() -> None:
    _, body = error_body(Unavailable(outcome_unknown=True), "r1")

    assert body["error"]["outcome"] == "unknown"
    assert "outcome" not in error_body(Unavailable(), "r1")[1]["error"]


def test_a_conflict_names_what_stands_in_the_way() -> None:
    _, body = error_body(Conflict("busy", state="paused", run_id="run_1"), "r1")

    assert (body["error"]["state"], body["error"]["run_id"]) == ("paused", "run_1")
