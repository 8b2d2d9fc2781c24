"""kubernetes.yaml is what it should be: nodes that come and go, watched, bounded, and not root."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from beltline.settings import Settings
from tests.architecture.source_tree import ROOT
from tests.deploy.kubernetes_fields import unknown_fields
from tests.deploy.operator_names import addresses, unknown_variables

MANIFEST = ROOT / "deploy/kubernetes.yaml"
PRESTOP_S = 5

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def manifests() -> dict[str, Manifest]:
    """By their kinds, of which there is one each."""
    found = list(yaml.safe_load_all(MANIFEST.read_text("utf-8")))
    by_kind = {one["kind"]: one for one in found}
    assert len(by_kind) == len(found)
    return by_kind


def pods(manifests: dict[str, Manifest]) -> dict[str, Manifest]:
    return {
        kind: one["spec"]["template"]["spec"]
        for kind, one in manifests.items()
        if "template" in one.get("spec", {})
    }


def node(manifests: dict[str, Manifest]) -> Manifest:
    (container,) = pods(manifests)["Deployment"]["containers"]
    assert isinstance(container, dict)
    return container


def test_there_is_no_stateful_set_and_nothing_is_kept_on_a_disk(
    manifests: dict[str, Manifest],
) -> None:
    assert set(manifests) == {"ConfigMap", "Job", "Deployment", "Service", "PodDisruptionBudget"}
    assert "persistentVolumeClaim" not in str(pods(manifests))


def test_kubernetes_knows_every_field(manifests: dict[str, Manifest]) -> None:
    for manifest in manifests.values():
        assert unknown_fields(manifest) == []
    planted = yaml.safe_load(MANIFEST.read_text("utf-8").split("\n---\n")[2])
    container = planted["spec"]["template"]["spec"]["containers"][0]
    container["readynessProbe"] = container.pop("readinessProbe")
    container["ports"][0]["containerPort"] = "8080"
    assert len(unknown_fields(planted)) == 2


def test_every_container_is_bounded_and_confined(manifests: dict[str, Manifest]) -> None:
    for kind, pod in pods(manifests).items():
        assert pod["securityContext"]["runAsNonRoot"] is True, kind
        assert pod["automountServiceAccountToken"] is False, kind
        assert pod["enableServiceLinks"] is False, kind
        for container in pod["containers"]:
            for bound in ("requests", "limits"):
                assert container["resources"][bound].keys() == {"cpu", "memory"}, kind
            confined = container["securityContext"]
            assert confined["readOnlyRootFilesystem"] is True, kind
            assert confined["allowPrivilegeEscalation"] is False, kind
            assert ":" in container["image"], kind
            assert not container["image"].endswith(":latest"), kind


def test_probes_ask_addresses_that_exist(manifests: dict[str, Manifest]) -> None:
    hub = node(manifests)
    asked = {name: hub[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {one["path"] for one in asked.values()} <= addresses()
    assert asked["readiness"]["path"] == "/readyz"
    # A restart does not bring a database back.
    assert asked["liveness"]["path"] == "/healthz"
    names = {port["name"] for port in hub["ports"]}
    assert {one["port"] for one in asked.values()} <= names
    assert {port["targetPort"] for port in manifests["Service"]["spec"]["ports"]} <= names
    assert [port["containerPort"] for port in hub["ports"]] == [8080]


def test_variables_are_settings_and_secrets_are_named(manifests: dict[str, Manifest]) -> None:
    for pod in pods(manifests).values():
        for container in pod["containers"]:
            variables = {one["name"]: one for one in container["env"]}
            assert unknown_variables(variables) == []
            assert "secretKeyRef" in variables["BELTLINE_STORE_URL"]["valueFrom"]


def test_a_stop_leaves_time_for_the_grace_and_the_handing_over(
    manifests: dict[str, Manifest],
) -> None:
    grace_s = Settings().stopping.grace_s
    told = {one["name"]: one.get("value") for one in node(manifests)["env"]}
    assert float(told["BELTLINE_STOPPING_GRACE_S"] or 0) == grace_s
    assert node(manifests)["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", str(PRESTOP_S)]
    time_s = pods(manifests)["Deployment"]["terminationGracePeriodSeconds"]
    assert time_s >= PRESTOP_S + grace_s + 5


def test_what_selects_the_nodes_selects_them_alone(manifests: dict[str, Manifest]) -> None:
    labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    spread = pods(manifests)["Deployment"]["topologySpreadConstraints"]
    selectors = [
        manifests["Deployment"]["spec"]["selector"]["matchLabels"],
        manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        manifests["Service"]["spec"]["selector"],
        *(one["labelSelector"]["matchLabels"] for one in spread),
    ]
    assert all(one == labels for one in selectors)
    assert manifests["Job"]["spec"]["template"]["metadata"]["labels"] != labels


def test_the_home_in_it_is_one_that_can_be_served(
    manifests: dict[str, Manifest], tmp_path: Path
) -> None:
    files = manifests["ConfigMap"]["data"]
    for pod in pods(manifests).values():
        (items,) = (one["configMap"]["items"] for one in pod["volumes"] if "configMap" in one)
        assert {item["key"] for item in items} == files.keys()
        for item in items:
            place = tmp_path / item["path"]
            place.parent.mkdir(exist_ok=True)
            place.write_text(files[item["key"]])
    beltline = Path(sys.executable).with_name("beltline")
    checked = subprocess.run(
        [str(beltline), "check", "--strict", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
