"""Files are named after what they hold, and open by saying what and why.

A module called "utils" or "helpers" has no subject, so anything may be put into it, and nothing
can be found in it.
"""

from __future__ import annotations

import ast

import pytest

from tests.architecture.source_tree import kept_files, relative

WITHOUT_A_SUBJECT = frozenset(
    ["base", "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"]
)


def has_subject(path: str) -> bool:
    """Whether every part of a path, and the words of its last part, say what is inside."""
    *folders, file = path.removesuffix(".py").split("/")
    return WITHOUT_A_SUBJECT.isdisjoint([*folders, *file.split("_")])


def opens_with_docstring(text: str) -> bool:
    """Whether a file says what it is; one that holds nothing has nothing to say."""
    return not text.strip() or bool((ast.get_docstring(ast.parse(text)) or "").strip())


def test_every_module_is_named_after_its_subject() -> None:
    paths = [relative(path) for path in kept_files() if path.suffix == ".py"]
    assert [path for path in paths if not has_subject(path)] == []


def test_every_source_file_opens_with_a_docstring() -> None:
    sources = [path for path in kept_files() if path.suffix == ".py"]
    assert sources
    silent = [path for path in sources if not opens_with_docstring(path.read_text("utf-8"))]
    assert [relative(path) for path in silent] == []


@pytest.mark.parametrize(
    "path", ["a/utils.py", "common/b.py", "a/run_manager.py", "a/string_utils.py"]
)
def test_a_name_without_a_subject_is_found(path: str) -> None:
    assert not has_subject(path)
    assert has_subject("a/manage_runs.py")


@pytest.mark.parametrize("text", ["import a\n", '""" """\n', "# what it is\nX = 1\n"])
def test_a_silent_file_is_found(text: str) -> None:
    assert not opens_with_docstring(text)
    assert opens_with_docstring('"""What it is."""\n')
