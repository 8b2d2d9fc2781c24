"""The contract of workers: what is written down of it is what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from beltline.catalog.asyncapi import asyncapi_document
from beltline.catalog.schema import contract_files
from beltline.engine.answer_event import (
    answer_event_of,
    answer_event_schema,
    problem_bytes,
    read_answer_event,
)
from beltline.engine.contract import NotAnAnswer, outcome_bytes, read_event, read_outcome, schemas
from beltline.queues.address import broker_address
from beltline.sdk import Reject, Retry

DOCS = Path(__file__).parents[3] / "docs" / "reference"
PAGE = (DOCS / "worker-contract.md").read_text(encoding="utf-8")
BLOCKS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
EVENT, ANSWERS = BLOCKS[0], [block for block in BLOCKS[1:] if "specversion" not in block]
ANSWER_EVENTS = [block for block in BLOCKS[1:] if "specversion" in block]
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


def test_the_event_that_answers_is_what_its_schema_says() -> None:
    valid = jsonschema_rs.validator_for(answer_event_schema())
    answers = [outcome_bytes(one) for one in ({"v": 1}, Retry("busy", 2.0), Reject("no"))]
    for answer in (*answers, problem_bytes("input", "n is missing")):
        event = answer_event_of("deal/1/2", "ticket", answer, "deals 1.4")
        assert valid.is_valid(json.loads(event))
        assert read_answer_event(event).data.answer == msgspec.Raw(answer)
    for wrong in (b"{}", b'{"result": 1, "reject": {}}', b'{"problem": {"kind": "other"}}'):
        assert not valid.is_valid(json.loads(answer_event_of("d", "t", wrong, "")))
    example = ANSWER_EVENTS[0]
    assert valid.is_valid(example)
    assert read_answer_event(json.dumps(example).encode()).data.worker == "deals 1.4"


def test_what_the_asyncapi_document_refers_to_is_there() -> None:
    document = asyncapi_document()

    def refs(value: Any) -> list[str]:
        if isinstance(value, list):
            return [ref for one in value for ref in refs(one)]
        if not isinstance(value, dict):
            return []
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [ref for one in value.values() for ref in refs(one)]

    found = refs(document)
    assert len(found) > 10
    for ref in found:
        place: Any = document
        for part in ref.removeprefix("#/").split("/"):
            place = place[part]
    calls = {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}
    for name, example in (("call", EVENT), ("answer", ANSWER_EVENTS[0])):
        payload = document["components"]["messages"][name]["payload"]
        valid = jsonschema_rs.validator_for({**calls, **payload})
        assert valid.is_valid(example)
        assert not valid.is_valid({**example, "type": "other"})
    address = broker_address("nats://127.0.0.1")
    place = document["channels"]["calls"]["address"].format(prefix="beltline", module="a.b")
    assert address.calls("a.b") == place
