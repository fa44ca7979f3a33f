"""PgBouncer in transaction mode before a test server, as managed databases put it there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from typing_extensions import override

from threadkeep.embedded.unprivileged import launcher

from .programs import Program, accepts

_PORT = 6432
_FIRST_WITH_PREPARED = (1, 21)
"""From this version on it can keep named prepared statements apart, which the tests forbid."""


class PgBouncer(Program):
    """Passes any database of one server on; nobody needs a password to reach it."""

    def __init__(self, program: str, folder: Path, server_url: str, users: dict[str, str]) -> None:
        super().__init__("pgbouncer", folder)
        self._program = program
        self._server = _target(server_url)
        self._users = users

    def url(self, database: str, user: str) -> str:
        """The way to a database through the pool."""
        query = urlencode({"host": str(self.folder), "port": _PORT})
        return f"postgresql://{quote(user)}@/{database}?{query}"

    @override
    def command(self) -> list[str]:
        launch = launcher()
        users = self.folder / "users.txt"
        users.write_text("".join(f'"{name}" "{word}"\n' for name, word in self._users.items()))
        configuration = self.folder / "pgbouncer.ini"
        configuration.write_text(self._configuration(users))
        for path in (self.folder, users, configuration):
            launch.give(path)
        return launch.command(self._program, configuration)

    @override
    def is_ready(self) -> bool:
        return accepts(self.folder / f".s.PGSQL.{_PORT}")

    def _configuration(self, users: Path) -> str:
        lines = [
            "[databases]",
            f"* = {self._server}",
            "[pgbouncer]",
            "listen_addr =",
            f"listen_port = {_PORT}",
            f"unix_socket_dir = {self.folder}",
            "auth_type = trust",
            f"auth_file = {users}",
            "pool_mode = transaction",
            "default_pool_size = 8",
            "max_client_conn = 1000",
        ]
        if self._version() >= _FIRST_WITH_PREPARED:
            lines.append("max_prepared_statements = 0")
        return "\n".join(lines) + "\n"

    def _version(self) -> tuple[int, int]:
        answer = subprocess.run(
            [self._program, "--version"], capture_output=True, text=True, timeout=10, check=True
        )
        found = re.search(r"(\d+)\.(\d+)", answer.stdout)
        assert found is not None, answer.stdout
        return int(found[1]), int(found[2])


def _target(url: str) -> str:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    host = parts.hostname or query["host"][0]
    port = parts.port or int(query.get("port", ["5432"])[0])
    return f"host={host} port={port}"
