"""What clients were told, written down outside the service, to be compared with the log."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

Line = tuple[str, str]
"""(thread, text)"""


@dataclass
class Ledger:
    """Answers that all writers got."""

    acknowledged: dict[Line, int] = field(default_factory=dict)
    """(thread, text) → seq."""
    unknown: set[Line] = field(default_factory=set)
    """Requests without an answer: they may be in the log or not."""
    failures: Counter[str] = field(default_factory=Counter)
    """How first attempts failed."""

    def note(self, thread: str, text: str, seq: int) -> None:
        """An acknowledged append; a repeat must have given the same answer."""
        line = (thread, text)
        assert self.acknowledged.setdefault(line, seq) == seq, "a repeat got another answer"
        self.unknown.discard(line)

    def note_failure(self, thread: str, text: str, why: str) -> None:
        """An attempt without a clear answer."""
        self.failures[why] += 1
        if (thread, text) not in self.acknowledged:
            self.unknown.add((thread, text))

    def compare(self, thread: str, log: list[tuple[int, str]]) -> str:
        """Check one thread's log, [(seq, text)] without its events, and give its digest."""
        texts = Counter(text for _, text in log)
        found = {text: seq for seq, text in log}
        mine = {text: seq for (at, text), seq in self.acknowledged.items() if at == thread}
        doubtful = {text for at, text in self.unknown if at == thread}

        assert [text for text, times in texts.items() if times > 1] == [], "appended twice"
        assert sorted(set(mine) - set(found)) == [], "acknowledged and lost"
        assert {text: found[text] for text in mine} == mine, "not where it was acknowledged"
        assert set(found) - set(mine) <= doubtful, "in the log, yet refused"
        return hashlib.sha256(repr(log).encode()).hexdigest()
