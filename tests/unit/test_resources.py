"""What is missing is skipped on a desk and fails where it was promised to be there."""

from __future__ import annotations

import pytest

from ..support import resources


@pytest.fixture(autouse=True)
def no_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("THREADKEEP_TEST_REQUIRE", raising=False)


def test_a_missing_resource_skips() -> None:
    with pytest.raises(pytest.skip.Exception, match="redis: gone"):
        resources.missing("redis", "gone")


@pytest.mark.parametrize(
    ("variable", "value"), [("CI", "true"), ("THREADKEEP_TEST_REQUIRE", "postgres, redis")]
)
def test_a_promised_resource_fails(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(pytest.fail.Exception, match="redis is missing: gone"):
        resources.missing("redis", "gone")


def test_a_promise_of_one_does_not_promise_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THREADKEEP_TEST_REQUIRE", "postgres")

    with pytest.raises(pytest.skip.Exception):
        resources.missing("redis", "gone")


def test_a_promise_of_something_unknown_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THREADKEEP_TEST_REQUIRE", "redis,postgresql")

    assert resources.unknown_kinds() == ["postgresql"]


def test_a_missing_program_names_its_package() -> None:
    with pytest.raises(pytest.skip.Exception, match=r"apt-get install sl\)"):
        resources.program("redis", "no-such-program", package="sl")
