"""Where builds get packages from is what this machine says."""

from __future__ import annotations

from pathlib import Path

import pytest

from ...cluster.images import sources


def test_pips_settings_of_indexes_are_handed_on_and_others_are_not() -> None:
    listed = (
        "global.index-url='https://files.example/simple'\n"
        "global.no-input='true'\n"
        ":env:.index-url='https://later.example/simple'\n"
        ":env:.trusted-host='one.example\\ntwo.example'"
    )

    assert sources.pip_settings(listed, {}, has_bundle=False).splitlines() == [
        "[global]",
        "index-url = https://later.example/simple",
        "trusted-host = one.example",
        "    two.example",
    ]


def test_folders_of_this_machine_are_not_handed_on() -> None:
    assert sources.pip_settings(":env:.find-links='/wheels'", {}, has_bundle=False) == "[global]\n"


def test_uvs_index_serves_where_pip_has_none() -> None:
    environ = {"UV_DEFAULT_INDEX": "https://uv.example/simple"}

    settings = sources.pip_settings("", environ, has_bundle=True)

    assert "index-url = https://uv.example/simple\n" in settings
    assert f"cert = {sources.CERTIFICATES_IN_BUILDS}\n" in settings


def test_the_bundle_of_authorities_is_the_one_pip_uses(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    environ = {"PIP_CERT": str(bundle), "SSL_CERT_FILE": str(tmp_path / "other")}

    assert sources.certificates(environ) == bundle


def test_debian_comes_from_this_machines_mirrors(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = (
        "http://mirror.example/debian/\nhttp://x.example/node\nhttp://s.example/debian-security"
    )
    monkeypatch.setattr(sources, "answer", lambda *_: listed)

    lines = sources.debian_sources()

    assert [line.split()[2:] for line in lines] == [
        ["http://mirror.example/debian", "trixie", "main"],
        ["http://mirror.example/debian", "trixie-updates", "main"],
        ["http://s.example/debian-security", "trixie-security", "main"],
    ]


@pytest.mark.parametrize("listed", [None, "", "http://x.example/node"])
def test_a_machine_without_mirrors_leaves_the_choice_to_the_builder(
    monkeypatch: pytest.MonkeyPatch, listed: str | None
) -> None:
    monkeypatch.setattr(sources, "answer", lambda *_: listed)

    assert sources.debian_sources() == []


def test_of_apts_settings_only_those_about_fetching_are_handed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dump = (
        'Acquire "";\n'
        'Acquire::Check-Valid-Until "false";\n'
        'Acquire::http::Proxy "http://proxy.example:3128";\n'
        'Acquire::AllowInsecureRepositories "1";'
    )
    monkeypatch.setattr(sources, "answer", lambda *_: dump)

    assert sources.apt_settings().splitlines() == [
        'Acquire::Check-Valid-Until "false";',
        'Acquire::http::Proxy "http://proxy.example:3128";',
    ]
