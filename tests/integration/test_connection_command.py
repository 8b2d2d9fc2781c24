"""`beltline connection test`: words for people, JSON for programs, and an exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from beltline.cli.main import app


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "connections"
    folder.mkdir()
    (folder / "shop.yaml").write_text(
        "connection: shop\nkind: http\naddress: http://127.0.0.1:9\nprivate_addresses: allow\n",
        encoding="utf-8",
    )
    (folder / "odd.yaml").write_text("connection: odd\nkind: odd\n", encoding="utf-8")
    return tmp_path


def test_a_connection_that_cannot_be_used_fails_with_the_reason(home: Path) -> None:
    command = ["connection", "test", "shop", "--home", str(home)]
    told = CliRunner().invoke(app, command)
    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr.startswith("beltline: shop: no connection to http://127.0.0.1:9")
    as_json = CliRunner().invoke(app, [*command, "--json"])
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["ok"] is False


@pytest.mark.parametrize(
    ("name", "words"),
    [("shp", "there is no connection 'shp'; there are: odd, shop"), ("odd", "have no test")],
)
def test_what_cannot_be_tested_is_told(home: Path, name: str, words: str) -> None:
    told = CliRunner().invoke(app, ["connection", "test", name, "--home", str(home)])
    assert (told.exit_code, words in told.stderr) == (1, True)
