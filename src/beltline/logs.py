"""Log lines: structured, on stderr, without secrets.

Secrets are taken out by their value wherever they stand in a line, since no list of field names
is ever whole.
"""

from __future__ import annotations

import base64
import logging
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any

import structlog

_SHORTEST_SECRET = 6  # a shorter one would blot out ordinary words
HIDDEN = "[secret]"


class Redaction:
    """Takes the values of known secrets out of every string of a line."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: list[str] = []
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """From now on, this text is taken out, and each of its lines, also as base64; the longest
        ones first.
        """
        for text in (secret, *map(str.strip, secret.splitlines())):
            if len(text) >= _SHORTEST_SECRET and text not in self._secrets:
                self._secrets += (text, base64.b64encode(text.encode()).decode())
        self._secrets.sort(key=len, reverse=True)

    def __call__(
        self, _logger: Any, _method: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """A structlog processor."""
        for name, value in line.items():
            line[name] = self.clean(value)
        return line

    def clean(self, value: Any) -> Any:
        """`value` with secrets taken out of its texts, at any depth of lists and objects."""
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, HIDDEN)
            return value
        if isinstance(value, dict):
            return {self.clean(key): self.clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.clean(item) for item in value]
        return value


def configure_logs(redaction: Redaction) -> None:
    """Sends all log lines to stderr: for people on a terminal, else as JSON, one a line."""
    for_people = sys.stderr.isatty()
    renderer: Any = (
        structlog.dev.ConsoleRenderer() if for_people else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redaction,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


def run_logger(run: str, step: str) -> Any:
    """A logger whose lines carry the run and the step."""
    return structlog.get_logger().bind(run=run, step=step)


def report(event: str, run: str, reason: str) -> None:
    """A line about a run that cannot be moved (`engine.ports.Report`)."""
    structlog.get_logger().error(event, run=run, reason=reason)
