"""The dialogues of the package `chatterbot-corpus`, as conversations for the demo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from threadkeep.errors import DependencyError, InvalidRequest, ThreadkeepError

PACKAGE: Final = "chatterbot-corpus"
_ROLES: Final = ("user", "assistant")

Turn = dict[str, Any]
"""A message as the API takes it."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One file of the corpus: dialogues about one thing in one language."""

    language: str
    name: str
    dialogues: list[list[str]]

    @property
    def external_id(self) -> str:
        """Names the thread; another version of the corpus makes other threads."""
        return f"{release()}/{self.language}/{self.name}"

    @property
    def title(self) -> str:
        """As a list of threads shows it."""
        return f"{self.language.capitalize()}: {self.name.replace('_', ' ')}"

    def chunks(self, size: int) -> Iterator[list[Turn]]:
        """Messages of whole dialogues, up to `size` together; the speakers take turns."""
        chunk: list[Turn] = []
        for number, dialogue in enumerate(self.dialogues, 1):
            turns = [
                {"content": text, "role": _ROLES[n % 2], "metadata": {"dialogue": number}}
                for n, text in enumerate(dialogue)
            ]
            if chunk and len(chunk) + len(turns) > size:
                yield chunk
                chunk = []
            while len(turns) > size:
                yield turns[:size]
                turns = turns[size:]
            chunk += turns
        if chunk:
            yield chunk

    @property
    def messages(self) -> int:
        """How many messages it makes."""
        return sum(len(dialogue) for dialogue in self.dialogues)


def release() -> str:
    """Name and version of the corpus."""
    return f"{PACKAGE}-{version(PACKAGE)}"


def languages() -> list[str]:
    """What the corpus has; `DependencyError` where it is not installed."""
    return sorted(path.name for path in _folder().iterdir() if any(path.glob("*.yml")))


def choose(names: Sequence[str]) -> list[str]:
    """These languages, or all; `InvalidRequest` names one that is unknown."""
    known = languages()
    if unknown := [name for name in names if name not in known]:
        raise InvalidRequest(f"Unknown language {unknown[0]!r}; there are: {', '.join(known)}.")
    return list(dict.fromkeys(names)) or known


def read(language: str) -> list[Topic]:
    """The topics of a language."""
    return [_topic(language, path) for path in sorted((_folder() / language).glob("*.yml"))]


def _topic(language: str, path: Path) -> Topic:
    import yaml  # noqa: PLC0415 - a tenth of a second that a start without an import saves

    # Without types: a `Yes` is a word here, and no boolean.
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        loaded = yaml.load(path.read_text("utf-8"), loader)  # noqa: S506 - makes texts alone
        found = loaded["conversations"]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as exc:
        raise ThreadkeepError(f"{path} is no file of dialogues: {exc}") from exc
    # A few dialogues are one sentence that is not in a list.
    dialogues = [[each] if isinstance(each, str) else each for each in found]
    spoken = [[text for text in each if text.strip()] for each in dialogues]
    return Topic(language, path.stem, [dialogue for dialogue in spoken if dialogue])


def _folder() -> Path:
    spec = find_spec("chatterbot_corpus")
    if spec is None or spec.origin is None:
        raise DependencyError(
            f"The package {PACKAGE} is missing: pip install 'threadkeep[service,demo]', "
            "or start with --no-demo."
        )
    return Path(spec.origin).parent / "data"
