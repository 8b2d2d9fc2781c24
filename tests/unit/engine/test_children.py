"""Runs that other runs start, as they are handed to the store."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from beltline.core.child import Child, Parent, child_id
from beltline.core.inputs import ChildBegun
from beltline.core.limits import TINY
from beltline.engine.children import Children
from beltline.engine.records import Acceptance
from tests.unit.core.belt_of_one import ID, NOON, process, step

LARGE = "x" * TINY.request_body_bytes


def begin(request: Any, item: Any = None, number: int | None = None) -> Acceptance | ChildBegun:
    children = Children(lambda name: (7, process(step("a"))), TINY)
    parent = Parent(ID, "f", 1, waits=True, item=number)
    id = child_id(ID, "f", 1, 1, NOON, number)
    return children.begin(Child(id, "line", request, parent, item), NOON)


def test_an_item_that_is_not_the_request_comes_with_it() -> None:
    made = begin({"order": 7}, "a", 0)
    assert isinstance(made, Acceptance)
    assert msgspec.json.decode(made.request.body) == {"order": 7}
    assert msgspec.json.decode(made.request.meta)["item"] == "a"
    assert made.run is not None
    assert (made.run.version_id, made.run.owned) == (7, False)


@pytest.mark.parametrize("number", [None, 0])
def test_one_that_is_the_request_is_written_once(number: int | None) -> None:
    one = {"name": "a"}
    made = begin(one, one if number == 0 else None, number)
    assert isinstance(made, Acceptance)
    assert "item" not in msgspec.json.decode(made.request.meta)


@pytest.mark.parametrize(("request_", "item"), [(LARGE, None), ({}, LARGE)])
def test_what_is_too_large_for_a_request_is_told(request_: Any, item: Any) -> None:
    refused = begin(request_, item, 0)
    assert isinstance(refused, ChildBegun)
    assert "limit request_body_bytes" in refused.why_not
