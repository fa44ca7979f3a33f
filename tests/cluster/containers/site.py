"""PostgreSQL's image over a volume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ...support.waiting import until
from .runc import TEMPORARY, Container, Unpacked

SOCKETS = "/run/postgresql"
DATA = "/var/lib/postgresql/data"
SECRETS = "/run/secrets/threadkeep"
SECONDS = 60.0

Find = Callable[[str], Unpacked]
"""Finds an image by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a pod of PostgreSQL has: a volume, a Secret and a port."""

    image: Unpacked
    folder: Path
    port: int
    password: str

    def container(self, *arguments: str) -> Container:
        """A pod over the volume; another one over the same is its successor."""
        return Container(
            self.image,
            self.folder,
            arguments=arguments or ("postgres", "-c", f"port={self.port}"),
            environment={"POSTGRES_PASSWORD_FILE": f"{SECRETS}/password"},
            volumes={DATA: self.folder / "data", SECRETS: self.folder / "secrets"},
            memory=(TEMPORARY, SOCKETS),
        )

    def url(self, database: str, user: str = "postgres", password: str | None = None) -> str:
        """Over TCP, as from another pod."""
        login = f"{user}:{quote(self.password if password is None else password, safe='')}"
        return f"postgresql://{login}@127.0.0.1:{self.port}/{database}"

    async def ready(self, container: Container) -> None:
        """Wait until it takes connections."""

        def is_ready() -> bool:
            assert container.is_running, container.log()
            command = ("pg_isready", "-q", "-h", SOCKETS, "-p", str(self.port))
            return container.run(*command).returncode == 0

        await until(is_ready, SECONDS)
