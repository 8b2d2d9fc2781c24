"""What the hub keeps secret: nothing of it is in the store, and another key is told."""

from __future__ import annotations

import pytest

from beltline.engine.vault import SPACE, VALUE_BYTES, Vault, VaultTrouble
from tests.simulation.disk import Disk
from tests.simulation.store import Moment, SimulatedStore
from tests.unit.api.stage import ManualClock

KEY, OTHER = b"k" * 32, b"o" * 32


async def _at_once(_: Moment) -> None:
    """Nothing takes any time."""


@pytest.fixture
def store() -> SimulatedStore:
    return SimulatedStore(Disk(), _at_once)


def vault(store: SimulatedStore, key: bytes | None = KEY) -> Vault:
    return Vault(store, ManualClock(), key)


async def test_a_secret_is_kept_and_given_again(store: SimulatedStore) -> None:
    first = vault(store)
    await first.put("SHOP", "geheim\n \U0001f511")
    await first.put("CRM", "other")
    again = vault(store)
    assert again.get("SHOP") is None  # nothing is read yet
    await again.load()
    assert (again.get("SHOP"), again.get("CRM")) == ("geheim\n \U0001f511", "other")
    assert again.names() == ["CRM", "SHOP"]


async def test_nothing_of_it_is_in_the_store(store: SimulatedStore) -> None:
    await vault(store).put("SHOP", "canary-of-the-tests")
    first = (await store.values(SPACE, 0))["SHOP"]
    assert b"canary" not in first
    await vault(store).put("SHOP", "canary-of-the-tests")
    assert (await store.values(SPACE, 0))["SHOP"][5:17] != first[5:17]  # no nonce comes twice


async def test_a_change_is_told_once(store: SimulatedStore) -> None:
    one, other = vault(store), vault(store)
    await one.put("SHOP", "1")
    await other.load()
    seen = other.changes
    await other.load()
    assert other.changes == seen
    await one.put("SHOP", "2")
    await other.load()
    assert (other.changes, other.get("SHOP")) == (seen + 1, "2")
    assert await one.remove("SHOP") is True
    assert await one.remove("SHOP") is False
    await other.load()
    assert (other.get("SHOP"), other.names()) == (None, [])


async def test_another_key_is_told(store: SimulatedStore) -> None:
    await vault(store).put("SHOP", "1")
    for key in (OTHER, None):
        strange = vault(store, key)
        await strange.load()
        with pytest.raises(VaultTrouble, match="encrypted with another key"):
            strange.get("SHOP")


@pytest.mark.parametrize("place", [0, 3, 10, 20, -1])
async def test_what_is_damaged_is_told(store: SimulatedStore, place: int) -> None:
    await vault(store).put("SHOP", "1" * 10)
    kept = bytearray((await store.values(SPACE, 0))["SHOP"])
    kept[place] ^= 1
    await store.put_value(SPACE, "SHOP", bytes(kept), None)
    damaged = vault(store)
    await damaged.load()
    with pytest.raises(VaultTrouble, match="set it anew"):
        damaged.get("SHOP")


async def test_a_secret_cannot_be_put_in_the_place_of_another(store: SimulatedStore) -> None:
    await vault(store).put("SHOP", "1")
    await store.put_value(SPACE, "CRM", (await store.values(SPACE, 0))["SHOP"], None)
    moved = vault(store)
    await moved.load()
    with pytest.raises(VaultTrouble, match="damaged"):
        moved.get("CRM")


async def test_what_cannot_be_kept_is_told(store: SimulatedStore) -> None:
    with pytest.raises(VaultTrouble, match="BELTLINE_KEY"):
        await vault(store, None).put("SHOP", "1")
    with pytest.raises(VaultTrouble, match="at most 65,536 bytes"):
        await vault(store).put("SHOP", "ё" * (VALUE_BYTES // 2 + 1))
