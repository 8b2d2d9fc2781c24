"""A run as people read it: told from its journal, also where it cannot be folded here."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from beltline.core.inputs import Retry, Skip
from beltline.engine.inspection import Inspected, inspect
from beltline.engine.ports import NotFound
from beltline.engine.records import JournalRow
from tests.simulation.workload import step
from tests.unit.engine.desk import Desk

STOPPING = {
    "process": "stopping",
    "steps": [step("a", next_=["b"]), step("b", retry={"attempts": 1})],
}


def inspected(desk: Desk, key: bytes) -> Inspected:
    found: Inspected = desk.run(inspect(desk.store, desk, key))
    return found


def stopped() -> tuple[Desk, bytes]:
    desk = Desk(STOPPING)
    key = desk.submit({"n": 1}).key
    desk.answer("a", {"v": 5})
    desk.fail("b")
    return desk, key


def test_a_run_is_told_with_its_document_its_path_and_why_it_stands() -> None:
    desk, key = stopped()
    view = inspected(desk, key).view()
    assert (view.process, view.version, view.status) == ("stopping", 1, "stopped")
    assert view.because == "b (visit 1) is a dead letter: exception: no luck"
    assert view.wake_at is None
    assert view.request.body == {"n": 1}
    assert view.document["a"] == {"v": 5}
    assert view.path == ["a"]
    assert [line["event"] for line in view.journal][-1] == "run-stopped"


def test_what_can_be_done_with_it_is_told_before_it_is_asked() -> None:
    desk, key = stopped()
    assert inspected(desk, key).refusal(Retry()) == ""
    assert "no dead letter at 'a'" in inspected(desk, key).refusal(Skip("a"))


def test_a_held_request_shows_its_source_and_not_its_body() -> None:
    desk = Desk()
    key = desk.submit({"secret": 1}, held=True).key
    view: Any = inspected(desk, key).view()
    assert view.version is None
    assert "'form' holds it back" in view.because
    assert view.document == {}
    assert "holds it back" in inspected(desk, key).refusal(Retry())


def test_a_run_without_its_version_is_told_as_far_as_it_can_be() -> None:
    desk, key = stopped()
    desk.unusable.add(1)
    found = inspected(desk, key)
    assert found.run is None
    assert found.document["a"] == {"v": 5}
    assert "its module is gone" in found.view().because
    assert found.view().path == ["a"]


def test_a_journal_of_a_newer_version_is_told_up_to_there() -> None:
    desk, key = stopped()
    last = desk.disk.journal[key][-1]
    desk.disk.journal[key][-1] = JournalRow(key, last.seq, b"[2,0,[]]")
    found = inspected(desk, key)
    assert found.run is None
    assert "newer version" in found.view().because
    assert found.view().path == ["a"]


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (b"", "row 2 of its journal is damaged: UnknownFormat"),
        (b"\0\0\0\0", "row 2 of its journal is damaged: UnknownFormat"),
        (b'[1,0,[["step-comp', "row 2 of its journal is damaged: DecodeError"),
        (b"[1,0,5]", "row 2 of its journal is damaged: ValidationError"),
        (b'[1,0,[["step-vanished","a",1]]]', "row 2 of its journal is damaged: ValidationError"),
        (b'[1,0,[["run-stopped","\xff"]]]', "row 2 of its journal is damaged: "),
        (b"[1,0,[" + b"[" * 9_000 + b"]" * 9_000 + b"]]", "row 2 of its journal is damaged: "),
        (b"[1,1000000000000000000000,[]]", "row 2 of its journal is damaged: "),
        (b"[1,99999999999999999,[]]", "row 2 of its journal is damaged: "),
        (b'[1,0,[["step-completed","zz",1,1,5,1,[]]]]', "cannot be followed: KeyError"),
        (b'[1,0,[["run-started","p",1,["zz"]]]]', "cannot be followed: KeyError"),
        (b'[1,0,[["step-waiting","a",1,99999999999999999]]]', "cannot be followed: "),
    ],
)
def test_a_damaged_row_is_told_with_all_that_stands_before_it(row: bytes, what: str) -> None:
    desk = Desk(STOPPING)
    key = desk.submit({"n": 1}).key
    desk.disk.journal[key][1:] = [JournalRow(key, 2, row)]
    found = inspected(desk, key)
    view = found.view()
    assert found.run is None
    assert what in view.because
    assert found.refusal(Retry()) == view.because
    assert view.journal[0]["event"] == "run-started"
    assert (view.version, view.request.body) == (1, {"n": 1})
    assert json.loads(msgspec.json.encode(view))["because"] == view.because


@pytest.mark.parametrize(("body", "meta"), [(b"{", b"{}"), (b"{}", b"{"), (b"{}", b"[]")])
def test_a_damaged_request_is_told_without_it(body: bytes, meta: bytes) -> None:
    desk, key = stopped()
    request = desk.disk.requests[key]
    desk.disk.requests[key] = msgspec.structs.replace(request, body=body, meta=meta)
    view = inspected(desk, key).view()
    assert "its request is damaged" in view.because
    assert view.request.body is msgspec.UNSET
    assert view.document["a"] == {"v": 5}
    assert view.path == ["a"]


def test_what_is_not_there_is_not_found() -> None:
    desk = Desk()
    with pytest.raises(NotFound):
        desk.run(inspect(desk.store, desk, bytes(16)))
