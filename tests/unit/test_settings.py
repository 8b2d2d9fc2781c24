"""Settings of a home that decide how calls are carried: bindings of modules, the hub's own key."""

from __future__ import annotations

from pathlib import Path

import pytest

from beltline.catalog.catalog import Binding
from beltline.home_files import read_home
from beltline.settings import Home, HubKey, SettingsError, hub_key, open_home

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
        ('transport = "redis://x"', "write event, or the address of a worker"),
    ],
)
def test_a_wrong_binding_is_told(tmp_path: Path, line: str, says: str) -> None:
    (tmp_path / "beltline.toml").write_text(f'[modules.a]\nuse = "set"\n{line}\n')
    with pytest.raises(SettingsError, match=says):
        read_home(open_home(tmp_path, {}))


def key(
    home: Home, given: str = "", *, is_shared: bool = False, has_workers: bool = True
) -> HubKey:
    environment = {"BELTLINE_KEY": given} if given else {}
    return hub_key(home, is_shared=is_shared, has_workers=has_workers, environment=environment)


def test_the_key_is_made_once_and_kept_for_its_owner_alone(tmp_path: Path) -> None:
    home = open_home(tmp_path, {})
    assert key(home).value != key(home).value  # there is no folder to keep it in
    assert not key(home).is_kept
    home.data.mkdir()
    made = key(home, has_workers=False)  # links of approvals are signed, too
    assert key(home) == key(home, has_workers=False) == made
    assert made.is_kept
    assert (home.data / "key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in home.data.iterdir()] == ["key"]


def test_nodes_that_share_a_store_and_call_workers_are_given_one_key(tmp_path: Path) -> None:
    home = open_home(tmp_path, {})
    home.data.mkdir()
    with pytest.raises(SettingsError, match="BELTLINE_KEY"):
        key(home, is_shared=True)
    assert not key(home, is_shared=True, has_workers=False).is_kept
    assert not list(home.data.iterdir())  # nothing of a node is on its disk
    given = key(home, "one long text", is_shared=True)
    assert given.is_kept
    assert given == key(home, "one long text")
