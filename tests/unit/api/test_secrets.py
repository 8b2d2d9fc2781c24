"""Secrets by the API: written by an admin, listed by name, read back by nobody."""

from __future__ import annotations

from tests.unit.api.stage import Stage

ADDRESS = "/api/v1/secrets"


async def test_a_secret_is_written_and_never_read_back(stage: Stage) -> None:
    answer = await stage.ask("PUT", f"{ADDRESS}/SHOP_KEY", {"value": "canary-of-the-tests"})
    assert (answer.status, answer.json()) == (200, {"secrets": ["SHOP_KEY"]})
    listed = await stage.ask("GET", ADDRESS)
    assert listed.json() == {"secrets": ["SHOP_KEY"]}
    assert b"canary" not in answer.body + listed.body
    assert stage.hub.vault.get("SHOP_KEY") == "canary-of-the-tests"
    removed = await stage.ask("DELETE", f"{ADDRESS}/SHOP_KEY")
    assert (removed.status, removed.json()) == (200, {"secrets": []})
    assert (await stage.ask("DELETE", f"{ADDRESS}/SHOP_KEY")).status == 404


async def test_what_is_no_secret_is_refused(stage: Stage) -> None:
    assert (await stage.ask("PUT", f"{ADDRESS}/no-name", {"value": "1"})).status == 422
    assert (await stage.ask("PUT", f"{ADDRESS}/A", {"value": ""})).status == 422
    assert (await stage.ask("PUT", f"{ADDRESS}/A", {"value": 1})).status == 422
    long = await stage.ask("PUT", f"{ADDRESS}/A", {"value": "ё" * 40_000})
    assert (long.status, "65,536 bytes" in long.json()["detail"]) == (409, True)
    assert (await stage.ask("PUT", f"{ADDRESS}/A", {"value": "1"}, role="editor")).status == 403
    assert (await stage.ask("GET", ADDRESS, role="operator")).status == 403
