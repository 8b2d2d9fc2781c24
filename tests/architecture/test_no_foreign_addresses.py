"""No committed file names a package registry or a path of somebody's machine.

Where packages come from is the user's to decide (a mirror, a proxy, a wheel house), and an index
in a file is a place from which others' code would be fetched. A path of one machine is wrong on
every other.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.architecture.source_tree import kept_files, relative

# Every dot and every slash is written as a class, so that no pattern is found in this file.
REGISTRIES = re.compile(
    r"""
      pypi[.]org | pythonhosted[.]org | pypi[.]python[.]org | piwheels[.]org | anaconda[.]org
    | registry[.]npmjs[.]org | registry[.]yarnpkg[.]com | npmmirror[.]com | jsr[.]io
    | crates[.]io | proxy[.]golang[.]org | rubygems[.]org | packagist[.]org
    | (?:extra[-_])?index[-_]url\s*= | --(?:extra-)?index-url[ ] | find-links\s*[=]
    """,
    re.VERBOSE | re.IGNORECASE,
)
MACHINE_PATHS = re.compile(
    r"""
    (?<![\w.~-])[/](?:
        home[/]\w | Users[/]\w | root[/] | work[/] | tmp[/]\w | mnt[/]\w | opt[/](?:pypi|wheels)
    )
    | [A-Z]:\\Users\\
    """,
    re.VERBOSE,
)


def addresses(text: str) -> list[str]:
    """Every line that names a registry or a path of a machine, with its number."""
    return [
        f"{number}: {line.strip()[:120]}"
        for number, line in enumerate(text.splitlines(), start=1)
        if REGISTRIES.search(line) or MACHINE_PATHS.search(line)
    ]


def text_of(path: Path) -> str:
    """The file's text; what is not UTF-8 (a picture, a database) is read byte by byte."""
    return path.read_bytes().decode("utf-8", errors="replace")


def test_no_committed_file_names_a_registry_or_a_machine() -> None:
    paths = kept_files()
    assert len(paths) > 10
    found = {relative(path): addresses(text_of(path)) for path in paths}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "parts",
    [
        ("https://", "pypi", ".org/simple"),
        ("resolved: https://registry", ".npmjs.org/a"),
        ("--extra-index", "-url https://mirror.example"),
        ("index", "-url = https://mirror.example"),
        ("open('/", "home/anna/beltline.db')"),
        ("cd /", "tmp/beltline"),
        ("C:", "\\Users\\anna"),
    ],
)
def test_an_address_is_found(parts: tuple[str, ...]) -> None:
    assert addresses("first\n" + "".join(parts)) == [f"2: {''.join(parts)}"]


@pytest.mark.parametrize(
    "line",
    ["https://example.bitrix24.ru/rest/1/", "/var/lib/beltline/data", "PYTHON=/path/to/python"],
)
def test_an_ordinary_line_is_left_alone(line: str) -> None:
    assert addresses(line) == []
