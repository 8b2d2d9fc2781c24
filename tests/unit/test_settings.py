"""Settings of a home that decide how calls are carried: bindings of modules, the hub's own key."""

from __future__ import annotations

from pathlib import Path

import pytest

from beltline.catalog.catalog import Binding
from beltline.home_files import read_home
from beltline.settings import Home, SettingsError, hub_key, open_home

TOML = """
[server]
url = "https://hub.example.org"

[modules.find-deal]
use = "bitrix24.find-deal"
transport = "http://10.0.0.7:9001/"
concurrency = 20
secret = "${WORKER}"
"""


def test_one_line_moves_a_module(tmp_path: Path) -> None:
    (tmp_path / "beltline.toml").write_text(TOML)
    home = open_home(tmp_path, {})
    assert home.settings.server.url == "https://hub.example.org"
    address = "http://10.0.0.7:9001/"
    binding = Binding("bitrix24.find-deal", address, 20, "${WORKER}")
    assert home.settings.modules == {"find-deal": binding}
    [remote] = read_home(home).catalog.remotes()
    assert (remote.address, remote.secret) == (address, "WORKER")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('transprot = "event"', "transprot"),
        ("concurrency = 0", ">= 1"),
        ('transport = "ftp://x"', "write event, the address of a worker"),
    ],
)
def test_a_wrong_binding_is_told(tmp_path: Path, line: str, says: str) -> None:
    (tmp_path / "beltline.toml").write_text(f'[modules.a]\nuse = "set"\n{line}\n')
    with pytest.raises(SettingsError, match=says):
        read_home(open_home(tmp_path, {}))


def key(home: Home, given: str = "", *, is_shared: bool = False) -> bytes | None:
    environment = {"BELTLINE_KEY": given} if given else {}
    return hub_key(home, is_shared=is_shared, environment=environment)


def test_the_key_is_made_once_and_kept_for_its_owner_alone(tmp_path: Path) -> None:
    home = open_home(tmp_path, {})
    assert key(home) is None  # there is no folder to keep it in
    home.data.mkdir()
    made = key(home)
    assert made is not None
    assert key(home) == made
    assert (home.data / "key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in home.data.iterdir()] == ["key"]


def test_nodes_that_share_a_store_are_given_one_key(tmp_path: Path) -> None:
    home = open_home(tmp_path, {})
    home.data.mkdir()
    assert key(home, is_shared=True) is None
    assert not list(home.data.iterdir())  # nothing of a node is on its disk
    assert key(home, "one long text", is_shared=True) == key(home, "one long text")
