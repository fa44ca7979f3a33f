"""Where this machine gets packages from, for builds: mirrors, indexes, authorities.

Builders get it as secrets, which are there while a step runs and are in no layer.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from .commands import answer

SUITE: Final = "trixie"
KEYRING: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"
CERTIFICATES_IN_BUILDS: Final = "/run/secrets/certificates"

_ARCHIVES: Final = ("debian", "debian-security")
_APT_OPTION: Final = re.compile(
    r'^Acquire::(Check-Valid-Until|Check-Date|https?::Proxy|Retries)\b.* "[^"]+";$', re.MULTILINE
)
_PIP_NAMES: Final = (
    "index-url",
    "extra-index-url",
    "find-links",
    "trusted-host",
    "proxy",
    "default-timeout",
    "timeout",
    "retries",
)
_UV_NAMES: Final = {
    "UV_DEFAULT_INDEX": "index-url",
    "UV_INDEX_URL": "index-url",
    "UV_EXTRA_INDEX_URL": "extra-index-url",
    "UV_FIND_LINKS": "find-links",
}


def write_secrets(folder: Path) -> dict[str, Path]:
    """Files by the name under which Containerfiles ask for them."""
    secrets = {"apt": folder / "apt.conf", "pip": folder / "pip.conf"}
    bundle = certificates(os.environ)
    listed = answer(sys.executable, "-m", "pip", "config", "list") or ""
    secrets["apt"].write_text(apt_settings(), "utf-8")
    secrets["pip"].write_text(pip_settings(listed, os.environ, has_bundle=bundle is not None))
    if bundle is not None:
        secrets["certificates"] = bundle
    return secrets


def apt_settings() -> str:
    """Lines for apt: proxies, and how old a mirror may be."""
    listed = answer("apt-config", "dump", "Acquire") or ""
    return "".join(f"{found[0]}\n" for found in _APT_OPTION.finditer(listed))


def debian_sources() -> list[str]:
    """Lines of sources.list for the suite, from this machine's own mirrors.

    Empty where it has none: mmdebstrap then takes Debian's own.
    """
    listed = answer("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
    mirror = dict(_mirrors((listed or "").split()))
    if "debian" not in mirror:
        return []
    return [
        f"deb [signed-by={KEYRING}] {mirror[archive]} {suite} main"
        for archive, suite in (
            ("debian", SUITE),
            ("debian", f"{SUITE}-updates"),
            ("debian-security", f"{SUITE}-security"),
        )
        if archive in mirror
    ]


def pip_settings(listed: str, environ: Mapping[str, str], *, has_bundle: bool) -> str:
    """A pip.conf with what `pip config list` and uv's variables say of indexes."""
    found: dict[str, str] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        # Variables come last in the list, as they do in force.
        if (key := name.rpartition(".")[2]) in _PIP_NAMES:
            found[key] = str(ast.literal_eval(value))
    for variable, key in _UV_NAMES.items():
        if given := environ.get(variable):
            found.setdefault(key, given)
    # A folder of this machine is not there in a build.
    found = {key: value for key, value in found.items() if key != "find-links" or "://" in value}
    if has_bundle:
        found["cert"] = CERTIFICATES_IN_BUILDS
    return "[global]\n" + "".join(f"{key} = {_indented(found[key])}\n" for key in sorted(found))


def certificates(environ: Mapping[str, str]) -> Path | None:
    """The bundle of authorities that this machine trusts."""
    names = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    given = [environ[name] for name in names if environ.get(name)]
    for path in map(Path, (*given, "/etc/ssl/certs/ca-certificates.crt")):
        if path.is_file():
            return path
    return None


def _mirrors(addresses: Iterable[str]) -> Iterator[tuple[str, str]]:
    for address in addresses:
        bare = address.rstrip("/")
        if (archive := bare.rpartition("/")[2]) in _ARCHIVES:
            yield archive, bare


def _indented(value: str) -> str:
    return "\n    ".join(value.split("\n"))
