"""A home and its settings: where the files are, what `beltline.toml` and `BELTLINE_*` say.

A home is a folder that people keep in git. `beltline.toml` holds settings by section; the
environment stands over it: `BELTLINE_SERVER_PORT=9000` over `[server] port`. Secrets are named in
files as `${NAME}` and come from the environment, or from the file that `NAME_FILE` names.
"""

from __future__ import annotations

import os
import secrets
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any

import msgspec

from beltline.catalog.catalog import Binding
from beltline.core.limits import PRODUCTION, Limits
from beltline.engine.vault import Vault, VaultTrouble

FILE = "beltline.toml"
BEATS = 5  # in a lease


class SettingsError(Exception):
    """The operator: a setting is wrong, or a secret is missing. The text says which, and where."""


class Server(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where `serve` listens. Loopback unless someone says otherwise. `url` is the hub's own address
    as workers reach it; empty: as it listens, where that is no wildcard.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    url: str = ""


class Storage(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where everything is durable; empty: the home's own `data/beltline.db`."""

    url: str = ""


class Nodes(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How this node shares a store with others: its name (empty: its host's, and the process id),
    and how long after its last sign of life others take its runs over.
    """

    name: str = ""
    lease_s: Annotated[float, msgspec.Meta(ge=1, le=3_600)] = 10.0


class Retention(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How long a shared store keeps runs that have ended (0: for ever), and how much time one
    partition of it holds (0: what suits `keep_days`); both in days.
    """

    keep_days: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    partition_days: Annotated[float, msgspec.Meta(ge=0, le=366)] = 0.0


class Stopping(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A clean stop: how long after the signal calls that are under way may still answer."""

    grace_s: float = 4.0


class LimitSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The bounds of `core/limits.py` that an operator may set."""

    moving_runs: int = PRODUCTION.moving_runs
    moving_document_bytes: int = PRODUCTION.moving_document_bytes
    handler_threads: int = PRODUCTION.handler_threads
    handlers_per_module: int = PRODUCTION.handlers_per_module


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What `beltline.toml` may say; every section may be left out."""

    server: Server = Server()
    store: Storage = Storage()
    nodes: Nodes = Nodes()
    retention: Retention = Retention()
    stopping: Stopping = Stopping()
    limits: LimitSettings = LimitSettings()
    modules: dict[str, Binding] = {}

    def effective_limits(self) -> Limits:
        """The bounds with what the operator set."""
        beat_ms = round(self.nodes.lease_s * 1_000 / BEATS)
        return msgspec.structs.replace(
            PRODUCTION, beat_ms=beat_ms, **msgspec.structs.asdict(self.limits)
        )


class Home(msgspec.Struct, frozen=True):
    """A folder with its settings and files."""

    path: Path
    settings: Settings

    @property
    def data(self) -> Path:
        """Where the home keeps what must not go into git."""
        return self.path / "data"

    @property
    def store_url(self) -> str:
        """The store of this home."""
        return self.settings.store.url or f"sqlite:///{self.data / 'beltline.db'}"

    def files(self, folder: str, *endings: str) -> list[Path]:
        """The files of one of the home's folders, by name."""
        root = self.path / folder
        found = [path for path in root.glob("*") if path.suffix in endings and path.is_file()]
        return sorted(path for path in found if not path.name.startswith((".", "_")))


def open_home(path: Path, environment: Mapping[str, str] = os.environ) -> Home:
    """Reads a home. Raises `SettingsError`; a folder without `beltline.toml` is a home too, as
    long as it is there.
    """
    if not path.is_dir():
        raise SettingsError(f"{path} is no folder; `beltline init {path}` makes a home there")
    file = path / FILE
    given: dict[str, Any] = {}
    if file.is_file():
        try:
            given = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
            raise SettingsError(f"{file}: {wrong}") from wrong
    _lay_over(given, environment)
    try:
        settings = msgspec.convert(given, Settings, strict=False)
    except msgspec.ValidationError as wrong:
        raise SettingsError(f"{file}: {wrong}") from wrong
    return Home(path, settings)


def _lay_over(given: dict[str, Any], environment: Mapping[str, str]) -> None:
    """`BELTLINE_SECTION_NAME` stands over `[section] name`."""
    for section in ("server", "store", "nodes", "retention", "stopping", "limits"):
        prefix = f"BELTLINE_{section.upper()}_"
        for name, value in environment.items():
            if name.startswith(prefix):
                table = given.setdefault(section, {})
                table[name.removeprefix(prefix).lower()] = value


def hub_key(
    home: Home, *, is_shared: bool, environment: Mapping[str, str] = os.environ
) -> bytes | None:
    """The key that this hub signs and encrypts with (32 bytes): of `BELTLINE_KEY`, else of the
    home's file `data/key`, which is made where its folder is. None where there is neither: nodes
    that share a store have one key, so that it cannot be in the folder of one of them.
    """
    text = environment.get("BELTLINE_KEY", "")
    if not text and not is_shared and home.data.is_dir():
        text = _kept_key(home.data / "key")
    return blake2b(text.encode(), digest_size=32).digest() if text else None


def _kept_key(file: Path) -> str:
    """What the file holds; it is made where it is not there, whole or not at all."""
    if not file.exists():
        made = file.with_name(f"key-{secrets.token_hex(8)}")
        made.touch(mode=0o600)
        made.write_text(secrets.token_hex(32), encoding="ascii")
        with suppress(FileExistsError):
            file.hardlink_to(made)
        made.unlink()
    return file.read_text(encoding="ascii").strip()


def secret_reader(
    vault: Vault | None = None, environment: Mapping[str, str] = os.environ
) -> Callable[[str], str]:
    """Gives secrets by name, from the environment, from the file that `NAME_FILE` names, or from
    those that the hub keeps. What it gives raises `SettingsError`.
    """

    def read(name: str) -> str:
        value = environment.get(name)
        if value is not None:
            return value
        file = environment.get(f"{name}_FILE")
        if file is not None:
            try:
                return Path(file).read_text(encoding="utf-8").rstrip("\n")
            except (OSError, UnicodeDecodeError) as wrong:
                raise SettingsError(f"{name}_FILE: {wrong}") from wrong
        try:
            value = None if vault is None else vault.get(name)
        except VaultTrouble as trouble:
            raise SettingsError(str(trouble)) from trouble
        if value is None:
            raise SettingsError(
                f"the secret ${{{name}}} is not set: put it into the environment as {name}, or"
                f" its file's path as {name}_FILE, or let the hub keep it: beltline secret set"
                f" {name}"
            )
        return value

    return read
