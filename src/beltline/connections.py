"""The connections of a home with their secrets, as handlers and sources are given them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from beltline.catalog.connection_tests import Examination, check_connection
from beltline.definition.connection import ConnectionFile
from beltline.engine.contract import CalledConnection
from beltline.engine.vault import Vault
from beltline.logs import Redaction
from beltline.sdk import Connection, Http, Secret
from beltline.settings import SettingsError, secret_reader


class Connections:
    """The connections of a home with their secrets filled in, as handlers are given them."""

    def __init__(
        self,
        files: Mapping[str, ConnectionFile],
        redaction: Redaction,
        home: Path,
        vault: Vault | None = None,
    ) -> None:
        self._files = files
        self._home = home
        self._redaction = redaction
        self._vault = vault
        self._secret = secret_reader(vault)
        self._ready: dict[str, Connection] = {}
        self._changes = 0

    def get(self, name: str) -> Connection | None:
        """The connection; None where there is none. Raises `SettingsError` for a secret that is
        not set, which fails the step that needs it and no other.
        """
        if self._vault is not None and self._vault.changes != self._changes:
            self._changes = self._vault.changes
            self._ready.clear()
        ready = self._ready.get(name)
        file = self._files.get(name)
        if ready is not None or file is None:
            return ready
        secret = None if file.secret is None else self.secret(file.secret.name)
        if secret is not None and file.user:
            self._redaction.add(f"{file.user}:{secret.strip()}")  # as `Authorization: Basic` has it
        ready = Connection(
            name=file.name,
            kind=file.kind,
            address=file.address,
            secret=None if secret is None else Secret(secret),
            options={
                "private_addresses": file.private_addresses,
                "user": file.user,
                "host_key": file.host_key,
            },
        ).below(self._home)
        self._ready[name] = ready
        return ready

    def secret(self, name: str) -> str:
        """The value of a secret, which no log line shows from here on. Raises `SettingsError`."""
        value = self._secret(name)
        self._redaction.add(value)
        return value

    def clean(self, value: Any) -> Any:
        """`value` without the secrets that were read by now, at any depth."""
        return self._redaction.clean(value)

    async def test(self, name: str, http: Http) -> Examination:
        """Connects as handlers would, and tells what came of it. Raises `LookupError` where there
        is no connection of this name, and `NoTest` where its kind has no test.
        """
        try:
            connection = self.get(name)
        except SettingsError as wrong:
            return Examination(False, str(wrong))
        if connection is None:
            known = ", ".join(sorted(self._files)) or "none"
            raise LookupError(f"there is no connection {name[:200]!r}; there are: {known}")
        tested = await check_connection(connection, http)
        return Examination(tested.ok, self._redaction.clean(tested.found))

    def told(self, name: str) -> CalledConnection | None:
        """What a worker is told of the connection: not its secret. None where there is none."""
        file = self._files.get(name)
        if file is None:
            return None
        return CalledConnection(file.name, file.kind, file.address, file.user)
