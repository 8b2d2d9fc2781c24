"""No text makes a check fail otherwise than by findings in their places."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from beltline.definition.connection import read_connection
from beltline.definition.finding import Finding
from beltline.definition.importing import import_php
from beltline.definition.source import read_source
from beltline.definition.tree import line_starts
from beltline.definition.yaml_writer import flow
from tests.unit.definition.shelf import SHELF, check

WORDS = st.sampled_from(
    ["a", "b", "set", "log", "bitrix24.find-contact", "crm", "none", "all", "empty", "!|empty",
     "{{ a.x }}", "{{ request.x", "{{ $sum(b.y) + 1 }}", "a.x", "request.y", "1h30m", "30s", "",
     "${TOKEN}", "https://example.org/", "2/s", "webhook", "p", "paused", "item", "\0", "a`b"]
)  # fmt: skip
KEYS = st.sampled_from(
    ["process", "steps", "start", "defaults", "output", "title", "id", "module", "subsystem",
     "connection", "with", "prev", "condition", "match", "next", "on_error", "retry", "timeout",
     "max_visits", "attempts", "first", "factor", "max", "field", "operation", "value", "and",
     "or", "not", "if", "result", "success", "failure", "source", "kind", "verify", "identity",
     "release", "by", "window", "hmac", "bearer", "header", "secret", "address", "limits",
     "rate", "burst", "phone", "x"]
)  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 2_000), st.floats(-2, 200), WORDS)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=20,
)
STEP_KEYS = (
    "with", "next", "prev", "condition", "match", "on_error", "retry", "timeout", "connection",
    "max_visits", "title", "subsystem",
)  # fmt: skip
STEPS = st.fixed_dictionaries(
    {"id": st.one_of(WORDS, ANYTHING), "module": st.one_of(WORDS, ANYTHING)},
    optional=dict.fromkeys(STEP_KEYS, ANYTHING),
)
PROCESSES = st.fixed_dictionaries(
    {"process": st.just("p"), "steps": st.lists(STEPS, max_size=4)},
    optional={"start": ANYTHING, "defaults": ANYTHING, "output": ANYTHING, "title": ANYTHING},
)


def in_text(findings: list[Finding], text: str) -> None:
    """Every finding stands at a place that the text has."""
    rows = text.removeprefix("\ufeff")
    starts = [*line_starts(rows), len(rows) + 1]
    for finding in findings:
        assert 1 <= finding.line < len(starts)
        length = starts[finding.line] - starts[finding.line - 1]
        assert 1 <= finding.column <= length + 1
        assert finding.message


@settings(max_examples=500, deadline=None)
@given(st.one_of(PROCESSES, ANYTHING))
def test_any_data_is_answered_with_findings(data: Any) -> None:
    text = flow(data)
    checked = check(text, connections=["crm"])
    in_text(checked.findings, text)
    assert (checked.process is None) == bool(checked.errors)
    in_text(read_source(text, name="a", file="s.yaml", processes=["p"]).findings, text)
    in_text(read_connection(text, name="crm", file="c.yaml").findings, text)


@settings(max_examples=300, deadline=None)
@given(PROCESSES, st.integers(0, 2**32), st.sampled_from(["yaml", "json", "php"]))
def test_a_damaged_text_is_answered_with_findings(data: Any, seed: int, format: Any) -> None:
    chance = random.Random(seed)
    text = flow(data) if format != "php" else f"<?php return {flow(data).replace(':', '=>')};"
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(text) + 1)
        sign = chance.choice("[]{}()\"'\\:,&*!|>%@`#-?\t\n\r\ufeff\u2028\x00é\ud800=$;")
        text = text[:at] + sign + text[at + chance.randrange(3) :]
    in_text(check(text, format=format).findings, text)


@settings(max_examples=300, deadline=None)
@given(st.one_of(PROCESSES, st.dictionaries(WORDS, STEPS, max_size=3), ANYTHING))
def test_any_php_array_imports_or_is_refused(data: Any) -> None:
    text = f"<?php return {php_of(data)};"
    imported = import_php(text, file="a.php", output_name="p.yaml", modules=SHELF)
    in_text(imported.notes, text)
    if imported.text is not None:
        checked = check(imported.text, name="p")
        in_text(checked.findings, imported.text)
    else:
        assert [note.severity for note in imported.notes] == ["error"]


def php_of(value: Any) -> str:
    if isinstance(value, dict):
        return "[" + ", ".join(f"{php_of(k)} => {php_of(v)}" for k, v in value.items()) + "]"
    if isinstance(value, list):
        return "[" + ", ".join(map(php_of, value)) + "]"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "") + "'"
    if value is None or isinstance(value, bool):
        return str(value).replace("None", "null")
    return repr(value)


FEEDS = {
    "schedule": ("every", "cron", "timezone", "request", "missed", "identity"),
    "files": ("folder", "sftp", "s3", "pattern", "every", "settle", "each", "format", "encoding",
              "delimiter", "then"),
    "poll": ("every", "http", "sql"),
}  # fmt: skip
INNER = (
    "connection", "folder", "host_key", "bucket", "prefix", "region", "url", "path", "query",
    "headers", "items", "id", "cursor", "start", "next",
)  # fmt: skip
VALUES = st.one_of(ANYTHING, st.fixed_dictionaries({}, optional=dict.fromkeys(INNER, ANYTHING)))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(FEEDS)), st.data())
def test_any_source_that_looks_is_answered_with_findings(kind: str, data: st.DataObject) -> None:
    keys = st.fixed_dictionaries({}, optional=dict.fromkeys(FEEDS[kind], VALUES))
    text = flow({"source": "a", "kind": kind, "process": "p", **data.draw(keys)})
    checked = read_source(text, name="a", file="s.yaml", processes=["p"], connections=["crm"])
    in_text(checked.findings, text)
    assert checked.source is not None or checked.findings
