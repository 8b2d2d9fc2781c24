"""What a hub has: modules with their schemas, connections without their secrets, its figures."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from beltline.engine.breaker import FAILURES
from beltline.engine.call_rules import CallRule
from tests.unit.api.stage import Stage


async def test_modules_are_listed_and_shown(stage: Stage) -> None:
    listed = (await stage.ask("GET", "/api/v1/modules")).json()["modules"]
    assert [one["name"] for one in listed] == ["echo", "judge"]
    shown = (await stage.ask("GET", "/api/v1/modules/echo")).json()
    assert (shown["name"], shown["version"], shown["effect"]) == ("echo", 1, "idempotent")
    assert shown["config"]["type"] == "object"
    assert (await stage.ask("GET", "/api/v1/modules/echo@1")).json() == shown


async def test_an_unknown_module_is_told_with_the_nearest(stage: Stage) -> None:
    answer = await stage.ask("GET", "/api/v1/modules/juge")
    assert answer.status == 404
    assert "'judge'" in answer.json()["detail"]
    assert (await stage.ask("GET", "/api/v1/modules/" + "x" * 5_000)).status == 404


async def test_connections_are_listed_without_their_secrets(stage: Stage) -> None:
    stage.secrets["CRM_KEY"] = "canary"
    stage.add_connection(
        "connection: crm\nkind: bitrix24\naddress: https://example.org/rest/\n"
        'secret: "${CRM_KEY}"\n'
        "limits: {rate: 2/s, burst: 50}\n"
    )
    stage.add_connection('connection: mail\nkind: smtp\nsecret: "${UNSET}"\n')
    answer = await stage.ask("GET", "/api/v1/connections")
    assert b"canary" not in answer.body
    crm, mail = answer.json()["connections"]
    assert crm == {
        "connection": "crm",
        "kind": "bitrix24",
        "address": "https://example.org/rest/",
        "secret": "CRM_KEY",
        "secret_is_set": True,
        "private_addresses": "deny",
        "limits": {
            "rate_per_s": 2.0,
            "burst": 50,
            "concurrency": None,
            "batch": None,
            "quota": None,
            "timezone": "UTC",
        },
        "use": {"left": None, "under_way": 0, "waiting": 0, "parked_until": None},
        "outage": {
            "breaker": "closed",
            "since": None,
            "probe_at": None,
            "last_error": "",
            "last_error_at": None,
        },
    }
    assert mail["secret_is_set"] is False


async def test_a_person_closes_the_breaker_of_a_connection(stage: Stage) -> None:
    stage.add_connection("connection: crm\nkind: bitrix24\naddress: https://example.org/rest/\n")
    path = "/api/v1/connections/crm/close-breaker"
    assert (await stage.ask("POST", path, role="viewer")).status == 403
    assert (await stage.ask("POST", "/api/v1/connections/crn/close-breaker")).status == 404
    assert (await stage.ask("POST", path)).status == 409
    dispatcher = stage.hub.node.dispatcher
    line = dispatcher._line(CallRule("connection crm", has_breaker=True))
    assert line.breaker is not None
    for _ in range(FAILURES):
        line.breaker.failed(stage.hub.clock.now(), "no connection to it", 0)
    [crm] = (await stage.ask("GET", "/api/v1/connections")).json()["connections"]
    assert crm["outage"]["breaker"] == "open"
    assert crm["outage"]["since"] == crm["outage"]["last_error_at"]
    assert crm["outage"]["last_error"] == "no connection to it"
    figures = (await stage.ask("GET", "/metrics")).body.decode()
    assert 'beltline_line_away{line="connection crm"} 1.0' in figures
    closed = (await stage.ask("POST", path)).json()
    assert closed["outage"]["breaker"] == "closed"
    assert closed["outage"]["since"] is None


async def test_a_connection_is_tested(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "canary-of-the-tests")
    stage.add_connection(
        "connection: shop\nkind: http\naddress: http://127.0.0.1:9/x\nsecret: ${SHOP_KEY}\n"
    )
    stage.add_connection('connection: mail\nkind: smtp\nsecret: "${UNSET}"\n')
    stage.add_connection("connection: odd\nkind: odd\n")
    shop = await stage.ask("POST", "/api/v1/connections/shop/test")
    assert shop.json()["connection"] == "shop"
    assert shop.json()["ok"] is False
    assert "private_addresses: allow opens them" in shop.json()["found"]
    mail = await stage.ask("POST", "/api/v1/connections/mail/test")
    assert "the secret ${UNSET} is not set" in mail.json()["found"]
    missing = await stage.ask("POST", "/api/v1/connections/shp/test")
    assert (missing.status, "mail, odd, shop" in missing.json()["detail"]) == (404, True)
    odd = await stage.ask("POST", "/api/v1/connections/odd/test")
    assert (odd.status, "have no test" in odd.json()["detail"]) == (409, True)
    refused = await stage.ask("POST", "/api/v1/connections/shop/test", role="viewer")
    assert refused.status == 403


async def test_health_needs_no_token(stage: Stage) -> None:
    assert (await stage.ask("GET", "/healthz", role=None)).json() == {"status": "ok"}
    assert (await stage.ask("GET", "/readyz", role=None)).status == 200
    stage.hub.node.drain()
    assert (await stage.ask("GET", "/healthz", role=None)).status == 200
    not_ready = await stage.ask("GET", "/readyz", role=None)
    assert not_ready.status == 503
    assert "stopping" in not_ready.json()["detail"]
    assert not_ready.headers["retry-after"]


async def test_the_figures_tell_what_happened(stage: Stage) -> None:
    stage.add_source("source: held\nkind: webhook\nprocess: lead\nverify: none\nrelease: paused\n")
    run = (await stage.send("form", {"verdict": "bad"})).json()["run"]
    await stage.at_rest(run, "stopped")
    await stage.send("held", {})
    await stage.send("form", b"{")
    answer = await stage.ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    figures = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }
    assert figures["beltline_intake_answers_total", "202"] == 2
    assert figures["beltline_intake_answers_total", "400"] == 1
    assert figures["beltline_runs_held",] == 1
    assert figures["beltline_runs_stopped",] == 1
    assert figures["beltline_runs_moving",] == 0
    assert figures["beltline_store_full",] == 0
    assert figures["beltline_steps_completed_total",] == 1  # greet; judge is a dead letter
    assert figures["beltline_decisions_total",] == 3
    assert figures["beltline_commits_total",] >= 2
    assert figures["beltline_answers_fenced_total",] == 0
