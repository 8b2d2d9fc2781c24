"""The Containerfile passes a real linter, and the rules of this house that no linter knows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT
from tests.deploy.containerfile import Stage, stages
from tests.deploy.operator_names import unknown_variables, variables

CONTAINERFILE = ROOT / "deploy/Containerfile"
HADOLINT = Path(sys.executable).with_name("hadolint")
PLANTED = """
FROM debian:latest
ADD src /src
RUN apt-get update && apt-get install -y python3
RUN curl example.com/list | sort
CMD beltline serve
"""


def lint(path: Path) -> str:
    """What hadolint says of a file; empty where all is well."""
    if not HADOLINT.exists():
        pytest.skip("hadolint is not installed beside this Python: make setup")
    command = [str(HADOLINT), "--no-color", "--failure-threshold", "style", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def complaints(found: list[Stage], context: Path) -> Iterator[str]:
    """What is wrong by the rules of the house."""
    named = {stage.name for stage in found}
    for stage in found:
        if ":" not in stage.base or stage.base.endswith(":latest"):
            yield f"FROM {stage.base}: name a release"
        if "/" in stage.base:
            yield f"FROM {stage.base}: whoever builds decides where images come from"
        for one in stage.instructions:
            if one.name == "RUN" and "pip install" in one.rest and "--no-deps" not in one.rest:
                yield "pip resolves by itself: install what is pinned, with --no-deps"
            if one.name == "COPY" and one.flags.get("from", "") not in {"", *named}:
                yield f"COPY --from={one.flags['from']}: no such stage"
            if one.name == "COPY" and "from" not in one.flags:
                for source in one.words[:-1]:
                    if not (context / source).exists():
                        yield f"COPY {source}: no such file"
    yield from _complaints_about_the_image(found[-1])


def _complaints_about_the_image(stage: Stage) -> Iterator[str]:
    last = {one.name: one for one in stage.instructions}
    if "USER" not in last or last["USER"].rest.split(":")[0] in ("0", "root"):
        yield "the image runs as root: say USER, by its number"
    if "HEALTHCHECK" not in last:
        yield "no HEALTHCHECK"
    if "STOPSIGNAL" in last and last["STOPSIGNAL"].rest != "SIGTERM":
        yield "the hub hands its runs over at SIGTERM"
    for name in ("ENTRYPOINT", "CMD"):
        if name not in last or last[name].exec_form is None:
            yield f"{name} is not a JSON list: a shell would swallow the signals"


def test_the_linter_finds_nothing() -> None:
    assert lint(CONTAINERFILE) == ""


def test_the_linter_finds_what_was_planted(tmp_path: Path) -> None:
    planted = tmp_path / "Containerfile"
    planted.write_text(PLANTED)
    said = lint(planted)
    for rule in ("DL3007", "DL3020", "DL3015", "DL3009", "DL4006", "DL3025"):
        assert rule in said


def test_the_rules_of_the_house_hold() -> None:
    found = stages(CONTAINERFILE.read_text("utf-8"))
    assert list(complaints(found, ROOT)) == []


def test_a_broken_rule_of_the_house_is_found(tmp_path: Path) -> None:
    text = """
FROM example.org/debian:latest AS build
COPY gone /gone
RUN pip install beltline
FROM debian
COPY --from=other /a /b
USER root
ENTRYPOINT beltline
"""
    assert len(list(complaints(stages(text), tmp_path))) == 10


def test_what_the_image_sets_are_settings() -> None:
    text = CONTAINERFILE.read_text("utf-8")
    names = [
        word.split("=")[0]
        for stage in stages(text)
        for one in stage.instructions
        if one.name == "ENV"
        for word in one.words
    ]
    assert "BELTLINE_SERVER_HOST" in names
    assert unknown_variables(names) == []
    assert "BELTLINE_STORE_URL" in variables()
    assert unknown_variables(["BELTLINE_STORE_ADDRESS", "PATH"]) == ["BELTLINE_STORE_ADDRESS"]


def test_what_builds_the_image_is_what_the_tests_were_run_with() -> None:
    """The pins of the build are among those of development, hashes included."""
    kept = {
        name: (ROOT / f"requirements/{name}.txt").read_text("utf-8").splitlines()
        for name in ("build", "runtime", "dev")
    }
    pins = {
        name: {line.strip(" \\") for line in lines if not line.lstrip().startswith("#")}
        for name, lines in kept.items()
    }
    assert any(line.startswith("hatchling==") for line in pins["build"])
    assert pins["build"] <= pins["dev"]
    assert pins["runtime"] <= pins["dev"]


@pytest.mark.parametrize(
    "text", ["RUN a", "FROM a\nADD a b", "FROM a\nRUN <<E\nE", "FROM a\nRUN --mount=type=cache a"]
)
def test_what_cannot_be_carried_out_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"RUN|ADD"):
        stages(text)


def test_instructions_are_read_with_their_flags_and_lines() -> None:
    text = 'FROM a AS b\n# no\nCOPY --from=b --x c \\\n    d \\\n  # no\n    e\nCMD ["f g", "h"]\n'
    (stage,) = stages(text)
    copy, command = stage.instructions
    assert (stage.base, stage.name) == ("a", "b")
    assert (copy.flags, copy.words) == ({"from": "b", "x": ""}, ["c", "d", "e"])
    assert command.exec_form == ["f g", "h"]
