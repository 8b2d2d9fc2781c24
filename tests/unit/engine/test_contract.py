"""The contract of workers: what is written down of it is what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from beltline.catalog.schema import contract_files
from beltline.engine.contract import NotAnAnswer, outcome_bytes, read_event, read_outcome, schemas
from beltline.sdk import Reject, Retry

DOCS = Path(__file__).parents[3] / "docs" / "reference"
PAGE = (DOCS / "worker-contract.md").read_text(encoding="utf-8")
BLOCKS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
EVENT, ANSWERS = BLOCKS[0], BLOCKS[1:]
VALID = {name: jsonschema_rs.validator_for(schema) for name, schema in schemas().items()}


def test_the_schemas_are_fresh() -> None:
    # `beltline modules contract --output docs/reference/worker-contract` writes them anew.
    written = {path.name: path.read_text("utf-8") for path in (DOCS / "worker-contract").iterdir()}
    assert written == contract_files()


def test_the_examples_of_the_page_are_what_is_read_and_what_the_schemas_say() -> None:
    assert VALID["event"].is_valid(EVENT)
    assert read_event(json.dumps(EVENT).encode()).data.connection is not None
    told = [read_outcome(json.dumps(answer).encode()) for answer in ANSWERS]
    assert all(VALID["answer"].is_valid(answer) for answer in ANSWERS)
    assert told == [
        {"value": "42"},
        Retry("the CRM is being updated", 60),
        Reject("there is no such contact"),
    ]


@pytest.mark.parametrize("outcome", [{"v": [1, None]}, None, Retry("busy", 1.5), Reject("no")])
def test_what_is_said_is_what_is_heard(outcome: Any) -> None:
    told = outcome_bytes(outcome)
    assert read_outcome(told) == outcome
    assert VALID["answer"].is_valid(json.loads(told))


@pytest.mark.parametrize(
    "wrong", [{}, [], {"result": 1, "reject": {}}, {"retry": {"after": 1}}, {"reject": "no"}]
)
def test_schema_and_reader_refuse_the_same(wrong: Any) -> None:
    assert not VALID["answer"].is_valid(wrong)
    with pytest.raises(NotAnAnswer):
        read_outcome(json.dumps(wrong).encode())


@pytest.mark.parametrize("field", ["id", "source", "subject", "time", "data"])
def test_an_event_without_a_field_is_none(field: str) -> None:
    wrong = {name: value for name, value in EVENT.items() if name != field}
    assert not VALID["event"].is_valid(wrong)
    with pytest.raises(NotAnAnswer, match=field):
        read_event(json.dumps(wrong).encode())


def test_fields_that_are_not_known_are_left_alone() -> None:
    more = {**EVENT, "traceparent": "00-1-2-3", "data": {**EVENT["data"], "more": 1}}
    assert VALID["event"].is_valid(more)
    assert read_event(json.dumps(more).encode()).data.module == "bitrix24.find-deal@1"
