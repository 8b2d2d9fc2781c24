"""Many calls of Bitrix24 modules in one request, against the stand-in portal."""

from __future__ import annotations

from typing import Any

import msgspec

from beltline.sdk import Reject, Retry
from beltline.sdk.testing import given
from bitrix24_portal.faults import Fault
from tests.integration.bitrix24_steps import CATALOG, MODULES, Stand
from tests.integration.test_bitrix24_modules import stand

__all__ = ["stand"]  # the fixture


async def batch(stand: Stand, name: str, *params: dict[str, Any]) -> list[Any]:
    """What many steps of one module answer that went together."""
    invocation = CATALOG.invocation(f"bitrix24.{name}@1")
    assert invocation is not None
    calls = []
    for number, one in enumerate(params):
        http: Any = stand.client
        place = given(http, run=f"run-{number}", connection=stand.connection)
        calls.append((invocation.decode(one), place))
    handler: Any = invocation.module.batch
    return [
        answer if isinstance(answer, Retry | Reject) else msgspec.to_builtins(answer)
        for answer in await handler(calls)
    ]


async def test_many_calls_are_one_request(stand: Stand) -> None:
    titles = [f"Lead {n} & Sons? [1]=+%20 \u0401\u0436" for n in range(50)]
    before = len(stand.client.calls)
    leads = await batch(stand, "add-lead", *({"title": t, "phone": "79161234567"} for t in titles))
    assert [name for name, _ in stand.client.calls[before:]] == ["batch"]
    shown = await batch(
        stand, "call", *({"method": "crm.lead.get", "params": {"id": one["ID"]}} for one in leads)
    )
    assert [one["result"]["TITLE"] for one in shown] == titles
    assert len(stand.client.calls) == before + 2


async def test_one_command_fails_and_the_others_do_not(stand: Stand) -> None:
    contact = await stand.step("add-contact", {"name": "Anna"})
    deals = [await stand.add_deal(contact["ID"]) for _ in range(2)]
    first, missing, second = await batch(
        stand, "get-deal", {"id": deals[0]}, {"id": 999_999}, {"id": deals[1]}
    )
    assert (first["ID"], second["ID"]) == (deals[0], deals[1])
    assert isinstance(missing, Reject)
    assert "Not found" in missing.reason
    stand.portal.faults.order(Fault("error", "crm.deal.update"))
    fields = {"fields": {"STAGE_ID": "PREPARATION"}}
    outcomes = await batch(stand, "update-deal", *({"id": id, **fields} for id in deals))
    assert isinstance(outcomes[0], Retry)
    assert outcomes[1] == {"ID": deals[1]}


async def test_comments_and_contacts_go_together_too(stand: Stand) -> None:
    people = await batch(stand, "add-contact", {"name": "Anna"}, {"name": "Boris"})
    assert [one["repeated"] for one in people] == [False, False]
    comments = await batch(
        stand,
        "add-comment",
        *({"id": one["ID"], "entity": "contact", "comment": "Hello, $5"} for one in people),
    )
    assert len({one["ID"] for one in comments}) == 2
    found = await batch(stand, "find-deal", {"contact": people[0]["ID"]}, {"contact": ""})
    assert found == [{"value": ""}, {"value": ""}]


async def test_each_module_gives_in_a_batch_what_it_gives_alone(stand: Stand) -> None:
    contact = await stand.step("add-contact", {"name": "Anna", "phone": "79161234567"})
    for _ in range(2):
        await stand.add_deal(contact["ID"])
    compared = set()
    for module in MODULES:
        if module.batch is None:
            continue
        name = module.name.removeprefix("bitrix24.")
        for example in module.examples:
            # What is there (entry 1), so that both have something to tell.
            params = {**example.config, **({"id": 1} if "id" in example.config else {})}
            alone = await stand.step(name, params, run="alone")
            stand.client.calls.clear()
            first, second = await batch(stand, name, params, params)
            assert type(first) is type(second) is type(alone), name
            if isinstance(alone, dict):
                assert first.keys() == second.keys() == alone.keys(), name
                compared.add(name)
            assert [method for method, _ in stand.client.calls] in ([], ["batch"]), name
    assert compared >= {"get-deal", "add-deal", "add-company", "add-item", "add-task", "notify"}
    assert compared >= {"add-activity", "find-item", "get-item", "update-item", "update-deal"}
