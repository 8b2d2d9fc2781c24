"""What stands in a home: its modules, sources and connections, read and checked."""

from __future__ import annotations

from pathlib import Path

import msgspec

from beltline.catalog.catalog import Catalog, CatalogError
from beltline.catalog.discovery import installed, of_home
from beltline.definition.connection import ConnectionFile, read_connection
from beltline.definition.finding import Finding
from beltline.definition.source import Source, read_source
from beltline.settings import Home, SettingsError

DEFINITIONS = (".yaml", ".yml", ".json")


class HomeFiles(msgspec.Struct):
    """What a home's files say, checked: the good ones by name, and all findings."""

    catalog: Catalog
    sources: dict[str, Source]
    connections: dict[str, ConnectionFile]
    findings: list[Finding]

    def connection_kinds(self) -> dict[str, str]:
        """The kind of each connection, for the checks of steps."""
        return {name: connection.kind for name, connection in self.connections.items()}


def read_home(home: Home) -> HomeFiles:
    """Reads modules, sources and connections. A file with errors is left out and told. Raises
    `SettingsError` where modules do not fit together.
    """
    shipped = installed()
    own = of_home(home.path / "modules")
    findings = [
        Finding(failure.source, failure.line or 1, 1, "error", failure.message)
        for failure in (*shipped.failures, *own.failures)
    ]
    try:
        catalog = Catalog(shipped.modules).extended(own.modules)
        catalog = catalog.bound(home.settings.modules)
    except CatalogError as wrong:
        raise SettingsError(str(wrong)) from wrong
    connections: dict[str, ConnectionFile] = {}
    for path in home.files("connections", *DEFINITIONS):
        one = read_connection(_text(path), name=path.stem, file=str(path))
        findings.extend(one.findings)
        if one.connection is not None:
            connections[one.connection.name] = one.connection
    processes = [path.stem for path in home.files("processes", *DEFINITIONS)]
    accounts = [path.stem for path in home.files("connections", *DEFINITIONS)]
    sources: dict[str, Source] = {}
    for path in home.files("sources", *DEFINITIONS):
        other = read_source(
            _text(path),
            name=path.stem,
            file=str(path),
            processes=processes,
            connections=accounts,
        )
        findings.extend(other.findings)
        if other.source is not None:
            sources[other.source.name] = other.source
    return HomeFiles(catalog, sources, connections, findings)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as wrong:
        raise SettingsError(f"{path} is not UTF-8 text: {wrong}") from wrong
