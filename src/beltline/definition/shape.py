"""Reading keys of a definition with their types; what is wrong goes to the report."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from beltline.core.duration import DurationError, parse_duration_ms
from beltline.core.limits import LIMITS
from beltline.core.problem import Place
from beltline.definition.finding import Report

_FILE_NAME = re.compile(r"[^\W_][\w.-]*\Z")


def kind_of(value: Any) -> str:
    """What a value is, in the words of the documentation."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object"


def read_object(report: Report, value: Any, place: Place, what: str) -> dict[str, Any] | None:
    """The value if it is an object."""
    if isinstance(value, dict):
        return value
    report.error(place, f"{what} must be an object of keys, not {kind_of(value)}")
    return None


def check_keys(
    report: Report, data: dict[str, Any], known: Iterable[str], place: Place, what: str
) -> None:
    """Every key that is not known is an error, with the known one nearest to it."""
    for key in data:
        if key not in known:
            report.error(
                (*place, key),
                f'unknown key "{key[:100]}" in {what}',
                report.did_you_mean(key, known) or f"Known keys: {', '.join(known)}.",
                of_key=True,
            )


def read_text(report: Report, value: Any, place: Place, what: str) -> str | None:
    """The value if it is a text."""
    if isinstance(value, str):
        return value
    suggestion = ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        suggestion = f'Write it in quotes: "{value}".'
    report.error(place, f"{what} must be a text, not {kind_of(value)}", suggestion)
    return None


def read_name(report: Report, value: Any, place: Place, what: str) -> str | None:
    """The value if it can be a name: a text without control characters, not empty or too long."""
    text = read_text(report, value, place, what)
    if text is None:
        return None
    if not text.strip() or text != text.strip():
        report.error(place, f"{what} must not be empty, nor begin or end with a space")
    elif len(text.encode()) > LIMITS.name_bytes:
        report.error(
            place, f"{what} is longer than a name may be (name_bytes: {LIMITS.name_bytes})"
        )
    elif not text.isprintable() or "`" in text or "{{" in text or "}}" in text:
        report.error(
            place,
            f"{what} must not hold backticks, double braces or control characters",
            "Use letters, digits, - and _.",
        )
    else:
        return text
    return None


def read_connection_name(report: Report, value: Any, place: Place) -> str | None:
    """The name of a connection of the home."""
    name = read_name(report, value, place, "connection")
    known = report.connections
    if name is not None and known is not None and name not in known:
        report.error(
            place,
            f'no connection has the name "{name[:100]}"',
            report.did_you_mean(name, known) or f"Add connections/{name[:100]}.yaml.",
        )
    return name


def read_file_name(report: Report, data: dict[str, Any], key: str, stem: str | None) -> str | None:
    """The name that a file gives itself under `key`: it must equal the file's stem, so that each
    can be found by the other.
    """
    if key not in data:
        report.error(
            (), f"the {key} has no name", f"Add `{key}: {stem if stem is not None else 'NAME'}`."
        )
        return None
    name = read_name(report, data[key], (key,), key)
    if name is None:
        return None
    if stem is not None and name != stem:
        report.error(
            (key,),
            f'the {key} is named "{name}", its file "{stem}"',
            f"Write `{key}: {stem}`, or rename the file.",
        )
    elif not _FILE_NAME.match(name):
        report.error(
            (key,),
            f'"{name}" cannot name a {key}',
            "Use letters, digits, -, _ and dots, and begin with a letter or digit.",
        )
    return name


def read_names(
    report: Report, value: Any, place: Place, what: str
) -> list[tuple[str, Place]] | None:
    """One name or a list of names, each with its place; None where something else stands there."""
    if isinstance(value, str):
        return [(value, place)]
    if not isinstance(value, list):
        report.error(place, f"{what} must be a step's id or a list of them, not {kind_of(value)}")
        return None
    names = []
    for index, item in enumerate(value):
        if isinstance(item, str):
            names.append((item, (*place, index)))
        else:
            report.error((*place, index), f"{what} lists step ids, not {kind_of(item)}")
    return names if len(names) == len(value) else None


def read_integer(
    report: Report, value: Any, place: Place, what: str, *, least: int, most: int, limit: str
) -> int | None:
    """The value if it is a whole number within its bounds; `limit` names the upper one."""
    if isinstance(value, bool) or not isinstance(value, int):
        report.error(place, f"{what} must be a whole number, not {kind_of(value)}")
    elif value < least:
        report.error(place, f"{what} must be at least {least}")
    elif value > most:
        report.error(place, f"{what} must be at most {most:,} ({limit})")
    else:
        return value
    return None


def read_duration_ms(
    report: Report, value: Any, place: Place, what: str, *, most_ms: int, limit: str
) -> int | None:
    """A length of time such as `30s`, in milliseconds; more than nothing, at most `most_ms`."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        report.error(place, f"{what} needs a unit", f"Write {value}s for seconds.")
        return None
    text = read_text(report, value, place, what)
    if text is None:
        return None
    try:
        duration_ms = parse_duration_ms(text)
    except DurationError as error:
        report.error(place, f"{what}: {error}")
        return None
    if duration_ms < 1:
        report.error(place, f"{what} must be longer than nothing")
    elif duration_ms > most_ms:
        report.error(place, f"{what} must be at most {most_ms:,} ms ({limit})")
    else:
        return duration_ms
    return None
