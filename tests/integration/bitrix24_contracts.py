"""Calls of the Bitrix24 REST API held against the vendor's published contracts.

The contracts are a JSON file a method. They are not part of this repository: without the folder
beside it nothing is checked, and the test that needs them says so.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

CONTRACTS = Path(__file__).resolve().parents[3] / "shared" / "bitrix24" / "methods"


ORIGINAL = {
    "name": "UF_...",
    "base": "any",
    "required": False,
}  # users' fields of `crm.item.*` by their own names


def check_against_contracts(calls: list[tuple[str, dict[str, Any]]]) -> None:
    """Asserts that each call has the parameters of its method's contract, and none beside."""
    for name, params in calls:
        path = CONTRACTS / f"{name}.json"
        if not path.is_file():
            continue  # `batch`, a method that is not there, or no folder of contracts
        contract = json.loads(path.read_text(encoding="utf-8"))
        if params.get("useOriginalUfNames") == "Y":
            contract["entityFields"] = [*(contract.get("entityFields") or ()), ORIGINAL["name"]]
            for inner in contract["defs"].values():
                # The pages list the fields of a lead; the example of all fields is of another type.
                others = [{**ORIGINAL, "name": one} for one in _example_fields()]
                inner["fields"] = [*others, *inner["fields"], ORIGINAL]
        _check_fields(name, params, contract["params"], contract)
        _check_names(name, params, contract)


def _check_fields(
    at: str, given: dict[str, Any], told: list[dict[str, Any]], contract: dict[str, Any]
) -> None:
    known = {one["name"]: one for one in told}
    for one in told:
        assert one["required"] is not True or one["name"] in given, (
            f"{at}: {one['name']} is missing"
        )
    for name, value in given.items():
        about = known.get(name) or _dynamic(name, known)
        assert about is not None, f"{at}: the contract has no {name}"
        assert _fits(value, about["base"]), f"{at}: {name} is {value!r}, not {about['base']}"
        inner = contract["defs"].get(str(about.get("ref", "")).rpartition("/")[2])
        if inner is not None:
            _check_fields(f"{at} {name}", value, inner["fields"], contract)


def _dynamic(name: str, known: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """The entry of a user's field or a parent: `UF_...`, `PARENT_ID_...`, `ufCrm...`."""
    for told, about in known.items():
        if told.endswith("...") and name.startswith(told.removesuffix("...")):
            return about
    return None


def _fits(value: Any, base: str) -> bool:
    match base:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean" | "char":
            return value in ("Y", "N") or isinstance(value, bool)
        case "any":
            return True
        case _:
            return isinstance(value, str)


def _check_names(name: str, params: dict[str, Any], contract: dict[str, Any]) -> None:
    """Fields in filters, orders and selections are those of the entity."""
    known: dict[str, dict[str, Any]] = {one: {} for one in contract.get("entityFields", ())}
    if not known:
        return
    # The pages leave the id out of some lists of fields; it is a field of every entity.
    known |= {"ID": {}, "id": {}}
    if name.startswith("crm.item."):
        # Nor do they list what cannot be written; the example of all fields has it. `*` is all.
        known |= {one: {} for one in ("*", *_example_fields())}
    if name.startswith("tasks."):  # written in capitals, read in camel case
        known |= {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", one).upper(): {} for one in known}
    names = [*params.get("select", ()), *params.get("order", {})]
    names += [re.sub(r"^[<>=!@%]+", "", key) for key in params.get("filter", {})]
    for field in names:
        assert field in known or _dynamic(field, known) is not None, f"{name}: no field {field}"


def _example_fields() -> dict[str, Any]:
    """The fields that the contract of `crm.item.fields` shows as its example."""
    text = (CONTRACTS / "crm.item.fields.json").read_text(encoding="utf-8")
    shown: dict[str, Any] = json.loads(text)["resultExample"]["result"]["fields"]
    return shown
