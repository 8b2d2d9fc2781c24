"""Which limits a step's calls keep to."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from beltline.catalog.catalog import Binding, Catalog, LimitSettings
from beltline.catalog.limiting import HubRules
from beltline.core.model import Step
from beltline.core.template import compile_value
from beltline.definition.connection import read_connection
from beltline.engine.limit_store import Quota, Rule
from beltline.sdk import Module


async def work(config: dict[str, Any], context: Any) -> dict[str, Any]:
    return config


async def together(calls: list[Any]) -> list[dict[str, Any]]:
    return [config for config, _ in calls]


def module(name: str, **more: Any) -> Module[Any, Any]:
    return Module(
        name=name,
        version=1,
        summary="A module.",
        category="data",
        icon="box",
        effect="idempotent",
        config=dict,
        output=dict,
        handler=work,
        examples=(),
        **more,
    )


CATALOG = Catalog([module("single", requests=3), module("many", batch=together, batch_most=20)])
EMPTY = compile_value({}, [], ())[0]


def rules(connection: str = "", bindings: Any = None) -> HubRules:
    text = f"connection: crm\nkind: shop\naddress: https://shop.example/\n{connection}"
    checked = read_connection(text, name="crm", file="crm.yaml")
    assert checked.connection is not None, checked.findings
    bound = msgspec.convert(bindings or {}, dict[str, Binding])
    return HubRules(CATALOG.bound(bound), {"crm": checked.connection}, bound)


def step(module: str, connection: str | None = "crm", used: str = "") -> Step:
    return Step("a", used or module, f"{module}@1", "idempotent", EMPTY, connection=connection)


def test_a_step_without_connection_and_limits_is_free() -> None:
    assert rules().of(step("single", None)) is None
    assert rules("outage: fail\n").of(step("single")) is None


def test_every_connection_has_a_breaker_unless_its_outages_are_failures() -> None:
    found = rules().of(step("single"))
    assert found is not None
    assert (found.line, found.limits, found.has_breaker) == ("connection crm", (), True)
    assert found.requests == 3
    failing = rules("outage: fail\nlimits: {rate: 2/s}\n").of(step("single"))
    assert failing is not None
    assert not failing.has_breaker


def test_limits_of_a_connection() -> None:
    found = rules("limits: {rate: 90/m, concurrency: 4, quota: 100/d, timezone: Asia/Omsk}\n")
    rule = found.of(step("single"))
    assert rule is not None
    quota = Quota(100, "Asia/Omsk")
    assert rule.limits == (Rule("connection crm", 1.5, 2, 4, quota),)


def test_a_module_has_limits_by_any_name_of_it() -> None:
    bindings = {
        "find": {"use": "single", "limits": {"rate": "1/s", "burst": 3}},
        "many": {"limits": {"concurrency": 2}},
    }
    found = rules("limits: {rate: 2/s}\n", bindings)
    by_alias = found.of(step("single", used="find"))
    assert by_alias is not None
    assert by_alias.limits == (Rule("module find", 1.0, 3), Rule("connection crm", 2.0, 2))
    assert found.of(step("single")) != by_alias
    alone = found.of(step("many", None, used="other"))
    assert alone is not None
    assert (alone.line, alone.has_breaker) == ("module many", False)
    assert alone.limits == (Rule("module many", None, 1, 2),)


def test_calls_go_together_as_far_as_both_sides_allow() -> None:
    both = rules("limits: {batch: 5}\n").of(step("many"))
    assert both is not None
    assert both.batch_most == 5
    assert both.batch
    alone = rules("limits: {batch: 1}\n").of(step("many"))
    assert alone is not None
    assert not alone.batch
    most = rules("limits: {batch: 500}\n").of(step("many"))
    assert most is not None
    assert most.batch_most == 20


def test_a_worker_has_a_line_of_its_own_and_takes_one_call_at_a_time() -> None:
    worker = msgspec.structs.replace(step("many", used="sent"), transport="http")
    found = rules("limits: {rate: 2/s}\n").of(worker)
    assert found is not None
    assert (found.line, found.has_breaker) == ("worker of sent", True)
    assert found.limits == (Rule("connection crm", 2.0, 2),)
    assert (found.batch, found.batch_most) == ("", 1)


@pytest.mark.parametrize(
    "wrong", [{"rate": "0/s"}, {"rate": "2"}, {"burst": 3}, {"concurrency": 0}, {"rat": "2/s"}]
)
def test_wrong_limits_of_a_module_are_refused(wrong: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, LimitSettings)
