"""Makes the next release out of a copy of this one: a higher version and one more migration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_MIGRATION: Final = Path(__file__).with_name("next_migration.py")
HEAD: Final = re.compile(r'^HEAD = "(\d{4})"$', re.MULTILINE)
_STORAGE: Final = "service/threadkeep/storage"


def make_next(folder: Path) -> None:
    """Change the project in `folder`."""
    head = next_revision = ""
    path = _file_with(folder / _STORAGE, HEAD)
    text = path.read_text("utf-8")
    for found in HEAD.finditer(text):
        head = found[1]
        next_revision = f"{int(head) + 1:04d}"
    path.write_text(HEAD.sub(f'HEAD = "{next_revision}"', text), "utf-8")
    migration = _MIGRATION.read_text("utf-8")
    for word, revision in (("NEXT", next_revision), ("HEAD", head)):
        migration = migration.replace(f'= "{word}"', f'= "{revision}"')
    versions = folder / _STORAGE / "migrations" / "versions"
    (versions / f"r{next_revision}_next.py").write_text(migration, "utf-8")
    _raise_version(folder / "pyproject.toml", r'^(version = "\d+\.\d+\.)(\d+)(")$')
    _raise_version(
        folder / "service/threadkeep/__init__.py", r'^(__version__ = "\d+\.\d+\.)(\d+)(")$'
    )


def _file_with(folder: Path, pattern: re.Pattern[str]) -> Path:
    found = [each for each in folder.glob("*.py") if len(pattern.findall(each.read_text())) == 1]
    if len(found) != 1:
        raise LookupError(f"{pattern.pattern} is in {len(found)} files of {folder}")
    return found[0]


def _raise_version(path: Path, pattern: str) -> None:
    def raised(found: re.Match[str]) -> str:
        return f"{found[1]}{int(found[2]) + 1}{found[3]}"

    text, count = re.subn(pattern, raised, path.read_text("utf-8"), flags=re.MULTILINE)
    if count != 1:
        raise LookupError(f"{path} names {count} versions")
    path.write_text(text, "utf-8")
