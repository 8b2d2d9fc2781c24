"""Every link between the documents leads somewhere, and the README stays one page.

Links to a heading are followed to it, by the anchors that GitHub makes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.architecture.source_tree import ROOT, kept_files, relative

README_LINES = 150

FENCE = re.compile(r"^(?P<fence>`{3,}|~{3,}).*?^(?P=fence)\s*?$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(
    r"""
      \]\(\s*<?(?P<inline>[^()<>\s]+(?:\([^()\s]*\))?)>?(?:\s+"[^"]*")?\s*\)
    | ^\[[^\]]+\]:\s*(?P<reference>\S+)
    | \b(?:href|src)="(?P<html>[^"]+)"
    """,
    re.VERBOSE | re.MULTILINE,
)
ELSEWHERE = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)
HEADING = re.compile(r"^#{1,6}\s+(?P<title>.+?)\s*#*\s*$", re.MULTILINE)


def links(text: str) -> Iterator[str]:
    """The targets of a document's links; what stands in code is no link."""
    prose = CODE.sub("", FENCE.sub("", text))
    for match in LINK.finditer(prose):
        yield match["inline"] or match["reference"] or match["html"]


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings; a repeated heading gets a number."""
    found: set[str] = set()
    for match in HEADING.finditer(FENCE.sub("", text)):
        title = re.sub(r"\]\([^)]*\)", "]", match["title"])
        base = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        anchor, number = base, 0
        while anchor in found:
            number += 1
            anchor = f"{base}-{number}"
        found.add(anchor)
    return found


def broken_links(document: Path, root: Path) -> list[str]:
    """The links of a document that lead to no file, out of the repository, or to no heading."""
    broken = []
    for link in links(document.read_text("utf-8")):
        if ELSEWHERE.match(link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = document if not path else document.parent / path
        if not target.exists() or not target.resolve().is_relative_to(root.resolve()):
            broken.append(f"{link}: no such file")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text("utf-8")):
            broken.append(f"{link}: no such heading")
    return broken


def test_every_link_between_documents_leads_somewhere() -> None:
    documents = [path for path in kept_files() if path.suffix == ".md"]
    assert documents
    broken = {relative(path): broken_links(path, ROOT) for path in documents}
    assert {path: lines for path, lines in broken.items() if lines} == {}


def test_the_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= README_LINES


@pytest.mark.parametrize(
    "text",
    [
        "[a](gone.md)",
        "[a](other.md#gone)",
        "[a](#gone)",
        "[a](../outside.md)",
        "[a]: gone.md",
        '<img src="gone.png">',
        '[a](gone.md "title")',
    ],
)
def test_a_broken_link_is_found(text: str, tmp_path: Path) -> None:
    (tmp_path / "outside.md").write_text("# Out\n")
    root = tmp_path / "root"
    root.mkdir()
    (root / "other.md").write_text("# Here\n")
    document = root / "doc.md"
    document.write_text(f"# Title\n\n{text}\n")
    assert len(broken_links(document, root)) == 1


def test_a_whole_link_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A step (шаг), `id` first\n\n## Twice\n\n## Twice\n")
    document = tmp_path / "doc.md"
    document.write_text(
        "# Title\n[a](other.md) [b](other.md#a-step-шаг-id-first) [c](other.md#twice-1)"
        " [d](#title) [e](https://example.com/x) `[f](gone.md)`\n\n"
        "```\n[g](gone.md)\n```\n"
    )
    assert broken_links(document, tmp_path) == []
