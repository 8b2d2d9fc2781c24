"""Secrets that the hub keeps itself: encrypted in the store, beside those of the environment.

    value ──AES-256-GCM, bound to its name──> store ──> read anew every few seconds ──> whoever asks

The key is the hub's (`settings.hub_key`) and is in no backup. Each ciphertext names the key that it
was made with, so that another key is told, and not taken for a damaged store.
"""

from __future__ import annotations

import os
from hashlib import blake2b

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from beltline.engine.ports import Clock, Store

SPACE = "hub:secrets"
VALUE_BYTES = 65_536
_FORM = b"\x01"
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12
_HEAD_BYTES = len(_FORM) + _KEY_ID_BYTES + _NONCE_BYTES


class VaultTrouble(Exception):
    """The operator: a secret cannot be kept, or not be read. The text says what to do."""


class Vault:
    """The secrets of one hub's store. `key` is 32 bytes, None where the hub has none: then nothing
    can be kept, nor read. Raises as the store does.
    """

    def __init__(self, store: Store, clock: Clock, key: bytes | None) -> None:
        self._store = store
        self._clock = clock
        self._cipher: AESGCM | None = None
        self._key_id = b""
        if key is not None:
            own = blake2b(key, digest_size=32, person=b"beltline secrets").digest()
            self._cipher = AESGCM(own)
            self._key_id = blake2b(own, digest_size=_KEY_ID_BYTES).digest()
        self._kept: dict[str, bytes] = {}
        self.changes = 0  # rises with each one, so that who keeps a value knows when it is old

    async def load(self) -> None:
        """Reads what is kept by now."""
        kept = await self._store.values(SPACE, self._clock.now())
        if kept != self._kept:
            self._kept = kept
            self.changes += 1

    def names(self) -> list[str]:
        """What is kept, by name."""
        return sorted(self._kept)

    def get(self, name: str) -> str | None:
        """The value of a secret; None where it is not kept here. Raises `VaultTrouble` where it
        cannot be read with this hub's key.
        """
        kept = self._kept.get(name)
        if kept is None:
            return None
        if self._cipher is None or kept[:1] != _FORM or kept[1:5] != self._key_id:
            raise VaultTrouble(
                f"the secret ${{{name}}} was encrypted with another key than this hub has: give it"
                f" that one (BELTLINE_KEY, or data/key), or set it anew: beltline secret set {name}"
            )
        nonce = kept[_HEAD_BYTES - _NONCE_BYTES : _HEAD_BYTES]
        try:
            return self._cipher.decrypt(nonce, kept[_HEAD_BYTES:], name.encode()).decode()
        except InvalidTag as wrong:
            raise VaultTrouble(
                f"the secret ${{{name}}} is damaged in the store: set it anew, by"
                f" beltline secret set {name}"
            ) from wrong

    async def put(self, name: str, value: str) -> None:
        """Keeps a secret in place of an earlier one. Raises `VaultTrouble` without a key, and
        where it is too long.
        """
        if self._cipher is None:
            raise VaultTrouble(
                "the hub keeps secrets only with a key: put a long random text into the environment"
                " of each node as BELTLINE_KEY"
            )
        if len(value.encode()) > VALUE_BYTES:
            raise VaultTrouble(f"a secret has at most {VALUE_BYTES:,} bytes")
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, value.encode(), name.encode())
        kept = _FORM + self._key_id + nonce + sealed
        await self._store.put_value(SPACE, name, kept, None)
        await self.load()

    async def remove(self, name: str) -> bool:
        """Forgets a secret; tells whether there was one."""
        removed = await self._store.delete_value(SPACE, name, self._clock.now())
        await self.load()
        return removed
