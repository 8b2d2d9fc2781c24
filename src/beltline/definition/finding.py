"""What a check found, addressed by file, line and column: what people read."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import SequenceMatcher
from typing import Literal

import msgspec

from beltline.core.limits import LIMITS
from beltline.core.problem import Place, Problem
from beltline.definition.tree import Document, Fault, Unreadable

Severity = Literal["error", "warning"]

# Comparing names costs tens of microseconds each: past so many comparisons in one report the
# findings come without suggestions, so that a file of 10,000 wrong names is answered at once.
_COMPARISONS = 100_000


class Finding(msgspec.Struct, frozen=True, order=True):
    """One finding; `line` and `column` count from 1. `str()` is `file:line:column: message`."""

    file: str
    line: int
    column: int
    severity: Severity
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        kind = "warning: " if self.severity == "warning" else ""
        advice = f"{self.suggestion[:1].upper()}{self.suggestion[1:]}"
        after = f". {advice}" if advice else ""
        return f"{self.file}:{self.line}:{self.column}: {kind}{self.message}{after}"


class Report:
    """Gathers findings about one document. `connections` are the names of those that there are
    (None: not checked).
    """

    def __init__(
        self, document: Document, file: str, connections: Collection[str] | None = None
    ) -> None:
        self.connections = connections
        self._document = document
        self._file = file
        self._comparisons = 0
        self._findings: list[tuple[int, Severity, str, str]] = [
            (fault.offset, "error", fault.message, fault.suggestion) for fault in document.faults
        ]
        # A value that the text itself gets wrong is not examined a second time.
        self._faulty = {fault.offset for fault in document.faults}
        self.errors = len(self._findings)

    @property
    def document(self) -> Document:
        """What the findings are about."""
        return self._document

    def error(
        self, place: Place, message: str, suggestion: str = "", *, of_key: bool = False
    ) -> None:
        """Adds an error at a value, or at its key."""
        self._add(place, "error", message, suggestion, of_key)

    def warning(
        self, place: Place, message: str, suggestion: str = "", *, of_key: bool = False
    ) -> None:
        """Adds a warning."""
        self._add(place, "warning", message, suggestion, of_key)

    def take(self, problems: Iterable[Problem]) -> None:
        """Adds what a check of `core` or of a module found."""
        for problem in problems:
            self._add(problem.place, problem.severity, problem.message, problem.suggestion, False)

    def did_you_mean(self, name: str, known: Iterable[str]) -> str:
        """`Did you mean "…"?` for the known name nearest to `name`, or nothing."""
        names = list(known)
        self._comparisons += len(names)
        if self._comparisons > _COMPARISONS or len(name) > LIMITS.name_bytes:
            return ""
        near = nearest(name, names)
        return f'Did you mean "{near}"?' if near is not None else ""

    def findings(self) -> list[Finding]:
        """All findings, by place."""
        found = (
            Finding(self._file, *self._document.line_column(offset), severity, message, suggestion)
            for offset, severity, message, suggestion in self._findings
        )
        return sorted(dict.fromkeys(found))

    def _add(
        self, place: Place, severity: Severity, message: str, suggestion: str, of_key: bool
    ) -> None:
        offset = self._document.offset(place, of_key=of_key)
        if offset in self._faulty:
            return
        if severity == "error":
            self.errors += 1
        self._findings.append((offset, severity, message, suggestion))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or None where none is alike."""
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(name)
    best, best_ratio = None, 0.6
    for candidate in known:
        if abs(len(candidate) - len(name)) > max(2, len(name) // 2):
            continue
        matcher.set_seq1(candidate)
        if matcher.real_quick_ratio() > best_ratio and matcher.quick_ratio() > best_ratio:
            ratio = matcher.ratio()
            if ratio > best_ratio:
                best, best_ratio = candidate, ratio
    return best


def unreadable(error: Unreadable, text: str, file: str) -> Finding:
    """The finding for a text that could not be read to its end."""
    document = Document(text.removeprefix("\ufeff"), None, 0, {})
    return finding_at(document, error.fault, file, "error")


def finding_at(document: Document, fault: Fault, file: str, severity: Severity) -> Finding:
    """The finding for a fault of a document's text."""
    line, column = document.line_column(fault.offset)
    return Finding(file, line, column, severity, fault.message, fault.suggestion)
