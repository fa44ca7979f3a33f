"""What a run in a cluster leaves behind fits where it is put, and can be read again."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from threadkeep.cli.report import report

from ..scenarios.reporting import results

SUMMARY: dict[str, Any] = {
    "run": "scaling-1",
    "exit_code": 1,
    "tests": {"passed": 3, "failed": 1},
    "failed": ["tests/a.py::test_one"],
    "could_not_run": ["redis: gone"],
    "missed": ["200 users avg"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A report as the plugin writes it."""
    (tmp_path / "report.html").write_text("<h1>the page</h1>", "utf-8")
    (tmp_path / "junit.xml").write_text("<testsuite/>", "utf-8")
    (tmp_path / "report.json").write_bytes(os.urandom(50_000))
    return tmp_path


def config_map(folder: Path) -> str:
    files, _ = results.packed(folder)
    encoded = {name: base64.b64encode(content).decode() for name, content in files.items()}
    return json.dumps({"data": {"summary.json": json.dumps(SUMMARY)}, "binaryData": encoded})


def test_a_message_fits_whatever_has_failed() -> None:
    told = SUMMARY | {"failed": [f"tests/a.py::test_{n}" * 20 for n in range(500)]}

    message = results.message(told)

    assert len(message) <= results.MESSAGE_BYTES
    decoded = json.loads(message)
    assert decoded["tests"] == SUMMARY["tests"]
    assert decoded["failed"] == told["failed"][: len(decoded["failed"])]
    assert decoded["cut"] == 500 - len(decoded["failed"]) + 2


def test_a_short_message_is_whole() -> None:
    assert json.loads(results.message(SUMMARY)) == SUMMARY


def test_what_has_no_room_is_left_out_and_named(folder: Path) -> None:
    files, left_out = results.packed(folder, most=10_000)

    assert set(files) == {"report.html.gz", "junit.xml.gz"}
    assert left_out == ["report.json"]


@pytest.mark.parametrize("given", ["folder", "page", "compressed", "saved"])
def test_a_report_is_shown_from_files(folder: Path, given: str) -> None:
    (folder / "page.html.gz").write_bytes(results.packed(folder)[0]["report.html.gz"])
    (folder / "saved.json").write_text(config_map(folder), "utf-8")
    places = {
        "folder": ".",
        "page": "report.html",
        "compressed": "page.html.gz",
        "saved": "saved.json",
    }
    output = folder / "out.html"

    done = CliRunner().invoke(
        report, [str(folder / places[given]), "--no-open", "--output", str(output)]
    )

    assert done.exit_code == 0, done.output
    assert output.read_text("utf-8") == "<h1>the page</h1>"
    if given == "saved":
        assert "scaling-1: exit code 1; 3 passed, 1 failed" in done.output
        assert "failed: tests/a.py::test_one" in done.output


@pytest.mark.parametrize(
    ("screen", "asked", "is_shown"),
    [("", [], False), (":0", [], True), ("", ["--open"], True), (":0", ["--no-open"], False)],
)
def test_a_browser_is_started_where_there_is_a_screen(
    folder: Path, monkeypatch: pytest.MonkeyPatch, screen: str, asked: list[str], *, is_shown: bool
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("click.launch", shown.append)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("DISPLAY", screen)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)

    done = CliRunner().invoke(report, [str(folder), "--output", str(folder / "o.html"), *asked])

    assert done.exit_code == 0, done.output
    assert bool(shown) is is_shown


def test_a_report_is_fetched_from_the_cluster(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By kubectl, which is told the run, the namespace and the context."""
    (folder / "answer").write_text(config_map(folder), "utf-8")
    kubectl = folder / "kubectl"
    kubectl.write_text(f'#!/bin/sh\necho "$@" > {folder}/asked\ncat {folder}/answer\n', "utf-8")
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.chdir(folder)

    done = CliRunner().invoke(
        report, ["scaling-1", "-n", "somewhere", "--context", "c", "--no-open"]
    )

    assert done.exit_code == 0, done.output
    assert (folder / "scaling-1.html").read_text("utf-8") == "<h1>the page</h1>"
    assert (folder / "asked").read_text("utf-8").split() == [
        *("get", "configmap", "--output=json", "--namespace=somewhere", "--context=c"),
        *("--", "scaling-1"),
    ]


@pytest.mark.parametrize(("ends", "exit_code"), [("Complete", 0), ("Failed", 1)])
def test_the_end_of_a_run_is_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ends: str, exit_code: int
) -> None:
    """The Job runs when it is asked for first, and has ended at the second time."""
    (folder / "configmap").write_text(config_map(folder), "utf-8")
    conditions = [{"type": ends, "status": "True"}]
    (folder / "job").write_text(json.dumps({"status": {"active": 1}}), "utf-8")
    (folder / "next").write_text(json.dumps({"status": {"conditions": conditions}}), "utf-8")
    answering = f'cd {folder}; cat "$2"; if [ "$2" = job ]; then cp next job; fi'
    kubectl = folder / "kubectl"
    kubectl.write_text(f"#!/bin/sh\n{answering}\n", "utf-8")
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr("threadkeep.cli.report._POLL_SECONDS", 0.01)
    monkeypatch.chdir(folder)

    done = CliRunner().invoke(report, ["scaling-1", "--wait", "60", "--no-open"])

    assert done.exit_code == exit_code, done.output
    assert "kubectl logs --follow job/scaling-1" in done.output
    assert (folder / "scaling-1.html").read_text("utf-8") == "<h1>the page</h1>"


def test_a_run_that_does_not_end_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = folder / "kubectl"
    kubectl.write_text("#!/bin/sh\necho '{}'\n", "utf-8")
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr("threadkeep.cli.report._POLL_SECONDS", 0.6)
    monkeypatch.chdir(folder)

    done = CliRunner().invoke(report, ["scaling-1", "--wait", "1", "--no-open"])

    assert done.exit_code == 1
    assert "job/scaling-1 has not ended within 1 s." in done.output
    assert not (folder / "scaling-1.html").exists()


def test_something_else_is_no_report(folder: Path) -> None:
    (folder / "other.json").write_text('{"data": {}}', "utf-8")

    done = CliRunner().invoke(report, [str(folder / "other.json"), "--no-open"])

    assert done.exit_code == 1
    assert "no ConfigMap with the results of a run" in done.output


def test_a_cluster_that_does_not_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("#!/bin/sh\nexec sleep 60\n", "utf-8")
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("threadkeep.cli.report._SECONDS", 0.2)

    done = CliRunner().invoke(report, ["scaling-1", "--no-open"])

    assert done.exit_code == 1
    assert "kubectl did not answer within 0.2 s." in done.output


@pytest.mark.parametrize("place", [".", ".hidden", ".."])
def test_every_page_has_a_name(folder: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Also those of folders that are named by dots."""
    here = folder / ".hidden" / "here"
    here.mkdir(parents=True)
    for each in (here, here.parent, here / ".hidden"):
        each.mkdir(exist_ok=True)
        (each / "report.html").write_text("<h1>the page</h1>", "utf-8")
    monkeypatch.chdir(here)

    done = CliRunner().invoke(report, [place, "--no-open"])

    assert done.exit_code == 0, done.output
    written = here / ("here.html" if place == "." else "hidden.html")
    assert written.read_text("utf-8") == "<h1>the page</h1>"
    assert not (here / ".html").exists()


@pytest.mark.parametrize(
    "run", ["Scaling", "a/b", "a..b", "-", "a" * 254, "a" * 300, "", "scaling-1\n"]
)
def test_what_can_be_no_run_is_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: str
) -> None:
    monkeypatch.chdir(tmp_path)

    done = CliRunner().invoke(report, ["--no-open", "--", run])

    assert done.exit_code == 2
    assert list(tmp_path.iterdir()) == []
