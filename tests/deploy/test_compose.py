"""compose.yaml is what it should be: two nodes that share a database, watched and bounded."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.architecture.source_tree import ROOT
from tests.deploy.operator_names import addresses, unknown_variables

COMPOSE = ROOT / "deploy/compose.yaml"
CHECKER = Path(sys.executable).with_name("check-jsonschema")
SCHEMA = "vendor.compose-spec"

Service = dict[str, Any]


@pytest.fixture(scope="module")
def services() -> dict[str, Service]:
    found: dict[str, Service] = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
    return found


def nodes(services: dict[str, Service]) -> dict[str, Service]:
    return {name: one for name, one in services.items() if name.startswith("node-")}


def test_the_published_schema_is_kept(tmp_path: Path) -> None:
    if not CHECKER.exists():
        pytest.skip("check-jsonschema is not installed beside this Python: make setup")
    command = [str(CHECKER), "--builtin-schema", SCHEMA]
    planted = tmp_path / "compose.yaml"
    planted.write_text("services: {a: {image: b, helthcheck: {}}}\n")
    good = subprocess.run([*command, str(COMPOSE)], capture_output=True, text=True, check=False)
    bad = subprocess.run([*command, str(planted)], capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stdout
    assert "helthcheck" in bad.stdout


def test_every_service_is_bounded_and_starts_again(services: dict[str, Service]) -> None:
    for name, one in services.items():
        limits = one["deploy"]["resources"]["limits"]
        assert limits.keys() >= {"cpus", "memory", "pids"}, name
        assert one["restart"] != "no", name


def test_two_nodes_differ_in_their_port_alone(services: dict[str, Service]) -> None:
    first, second = nodes(services).values()
    assert first.pop("ports") != second.pop("ports")
    assert first == second


def test_a_node_is_watched_at_an_address_that_exists(services: dict[str, Service]) -> None:
    for node in nodes(services).values():
        asked = " ".join(node["healthcheck"]["test"])
        match = re.search(r"http://127\.0\.0\.1:8080(/\w+)", asked)
        assert match is not None
        assert match[1] == "/readyz"
        assert match[1] in addresses()
    assert "pg_isready" in services["postgres"]["healthcheck"]["test"]


def test_nodes_wait_for_the_database_and_for_what_is_published(
    services: dict[str, Service],
) -> None:
    for node in nodes(services).values():
        waits = {name: one["condition"] for name, one in node["depends_on"].items()}
        assert waits == {
            "postgres": "service_healthy",
            "publish": "service_completed_successfully",
        }
    assert services["publish"]["command"] == ["publish"]


def test_variables_are_settings_and_passwords_are_not_written(
    services: dict[str, Service],
) -> None:
    for name, one in services.items():
        environment = one["environment"]
        assert unknown_variables(environment) == [], name
        for variable, value in environment.items():
            if "PASSWORD" in variable:
                assert value.startswith("${"), f"{name}: {variable}"
        assert not re.search(r"://[^/@]+:[^/@]+@", str(environment)), name


def test_a_stop_leaves_time_for_the_grace_and_the_handing_over(
    services: dict[str, Service],
) -> None:
    for node in nodes(services).values():
        assert int(node["stop_grace_period"].removesuffix("s")) >= 10


def test_the_database_has_connections_for_the_nodes_and_for_an_upgrade(
    services: dict[str, Service],
) -> None:
    from beltline.stores.postgres.store import CONNECTIONS  # noqa: PLC0415 - an extra

    given = next(one for one in services["postgres"]["command"] if "max_connections" in one)
    one_more = len(nodes(services)) + 1
    assert int(given.split("=")[1]) >= one_more * CONNECTIONS + 10
