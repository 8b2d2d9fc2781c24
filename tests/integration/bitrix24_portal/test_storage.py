"""The file: kept over a restart, widened by new fields, independent of the hub."""

from __future__ import annotations

import ast
from pathlib import Path

import bitrix24_portal
from bitrix24_portal.entities import ENTITIES
from tests.integration.bitrix24_portal.stand import make_stand


async def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    stand = make_stand(tmp_path / "portal.db")
    await stand.add("contact", NAME="Иван", PHONE=[{"VALUE": "+79123456789"}])
    await stand.call("event.bind", {"event": "ONCRMLEADADD", "handler": "http://127.0.0.1:9/"})
    await stand.call("crm.category.add", {"entityTypeId": 2, "fields": {"name": "Опт"}})
    stand.portal.close()

    again = make_stand(tmp_path / "portal.db")
    asked = {"type": "PHONE", "values": ["89123456789"]}
    assert await again.result("crm.duplicate.findbycomm", asked) == {"CONTACT": [1]}
    assert len(await again.result("event.get")) == 1
    listed = await again.result("crm.category.list", {"entityTypeId": 2})
    assert [one["name"] for one in listed["categories"]] == ["Общая", "Опт"]
    assert (await again.call("crm.status.list", {"filter": {"ENTITY_ID": "STATUS"}}))["total"] == 5
    assert await again.add("contact") == 2
    again.portal.close()


async def test_an_id_is_never_given_twice(tmp_path: Path) -> None:
    stand = make_stand(tmp_path / "portal.db")
    await stand.add("lead")
    last = await stand.add("lead")
    await stand.call("crm.lead.delete", {"id": last})
    stand.portal.close()
    again = make_stand(tmp_path / "portal.db")
    assert await again.add("lead") == last + 1
    again.portal.close()


async def test_a_field_declared_later_becomes_a_column(tmp_path: Path) -> None:
    stand = make_stand(tmp_path / "portal.db")
    await stand.add("lead", TITLE="Старый")
    stand.portal.storage.run('ALTER TABLE "lead" DROP COLUMN "UTM_TERM"')
    stand.portal.close()
    again = make_stand(tmp_path / "portal.db")
    await again.call("crm.lead.update", {"id": 1, "fields": {"UTM_TERM": "слово"}})
    row = await again.result("crm.lead.get", {"id": 1})
    assert (row["TITLE"], row["UTM_TERM"]) == ("Старый", "слово")
    again.portal.close()


def test_names_of_both_faces_are_unique() -> None:
    for entity in ENTITIES:
        names = [field.name for field in entity.fields]
        items = [field.item_name for field in entity.fields if field.item_name is not None]
        assert len(names) == len(set(names))
        assert len(items) == len(set(items))
        assert not set(entity.legacy_items) & set(items)


def test_the_portal_knows_nothing_of_the_hub() -> None:
    folder = Path(bitrix24_portal.__file__).parent
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            assert not any(name.split(".")[0] == "beltline" for name in names), file
