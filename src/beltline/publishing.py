"""The process files of a home become versions in the store: those that differ from the newest."""

from __future__ import annotations

import asyncio
from pathlib import Path

from beltline.definition.finding import Finding
from beltline.engine.processes import ProcessBook, Refusal
from beltline.engine.records import Format
from beltline.home_files import DEFINITIONS
from beltline.settings import Home


async def publish_files(home: Home, processes: ProcessBook) -> list[Finding]:
    """Publishes the home's process files that differ from their newest version. Gives all
    findings; a file with errors changes nothing, and its last good version stays.
    """
    findings: list[Finding] = []
    for path in home.files("processes", *DEFINITIONS):
        findings.extend(await publish_file(path, processes))
    return findings


async def publish_file(path: Path, processes: ProcessBook) -> list[Finding]:
    """Publishes one process file, if it differs from its newest version."""
    kind: Format = "json" if path.suffix == ".json" else "yaml"
    try:
        text = await asyncio.to_thread(path.read_text, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        return [Finding(str(path), 1, 1, "error", f"cannot be read: {wrong}")]
    try:
        _, warnings = await processes.publish(path.stem, text, kind, str(path))
    except Refusal as refusal:
        return refusal.findings
    return warnings
