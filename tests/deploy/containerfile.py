"""A Containerfile as its instructions: enough of the format to carry ours out and to judge it.

What is not read (heredocs, `ADD`, flags that nobody here uses) raises `ValueError`, so that a new
instruction cannot pass unseen.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import NamedTuple

CONTINUED = re.compile(r"\\[ \t]*\n")
VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)\}|(?P<plain>\w+))")
KNOWN = frozenset(
    {
        *("FROM", "ARG", "ENV", "RUN", "COPY", "WORKDIR", "USER"),
        *("EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"),
    }
)


class Instruction(NamedTuple):
    """One instruction: its name in capitals, its flags (`--from=build`), and what follows them."""

    name: str
    flags: dict[str, str]
    rest: str

    @property
    def words(self) -> list[str]:
        """The rest as words: those of the JSON list, or split as a shell splits."""
        return self.exec_form or shlex.split(self.rest)

    @property
    def exec_form(self) -> list[str] | None:
        """The words of a JSON list; None for the form that a shell reads."""
        if not self.rest.startswith("["):
            return None
        words = json.loads(self.rest)
        assert all(isinstance(word, str) for word in words)
        return list(words)


class Stage(NamedTuple):
    """What one FROM begins."""

    base: str
    name: str
    instructions: list[Instruction]


def stages(text: str) -> list[Stage]:
    """The stages of a Containerfile. Raises `ValueError`."""
    found: list[Stage] = []
    for instruction in instructions(text):
        if instruction.name == "FROM":
            base, *named = instruction.words
            found.append(Stage(base, named[1] if named else "", []))
        elif not found:
            raise ValueError(f"{instruction.name} stands before the first FROM")
        else:
            found[-1].instructions.append(instruction)
    return found


def instructions(text: str) -> list[Instruction]:
    """The instructions in their order, comments left out. Raises `ValueError`."""
    plain = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return [_read(line) for line in CONTINUED.sub(" ", plain).splitlines() if line.strip()]


def _read(line: str) -> Instruction:
    name, _, rest = line.strip().partition(" ")
    if name not in KNOWN:
        raise ValueError(f"{name} is not an instruction that is known here")
    if "<<" in rest:
        raise ValueError(f"{name}: heredocs are not read here")
    rest, flags = rest.strip(), {}
    while rest.startswith("--"):
        flag, _, rest = rest.partition(" ")
        key, _, value = flag.removeprefix("--").partition("=")
        flags[key], rest = value, rest.strip()
    if name == "RUN" and flags:
        raise ValueError(f"RUN with {', '.join(flags)} is not carried out here")
    return Instruction(name, flags, rest)


def pairs(instruction: Instruction, environment: Mapping[str, str]) -> dict[str, str]:
    """The names and values of an ENV, each value with what was set before it filled in."""
    found = {}
    for word in instruction.words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"ENV {word}: write NAME=value")
        found[name] = filled_in(value, environment)
    return found


def filled_in(text: str, environment: Mapping[str, str]) -> str:
    """The text with `$NAME` and `${NAME}` replaced; one that is not set gives nothing."""
    return VARIABLE.sub(lambda match: environment.get(match["braced"] or match["plain"], ""), text)
