"""Bringing a database up to date: numbered SQL files, each in one transaction.

A file `0002_words.sql` brings a store from 1 to 2; the number stands in `user_version`. A file that
was released is never changed again.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import apsw

from beltline.stores.errors import NotAStore, StoreTooNew

APPLICATION_ID = 0x42454C54  # "BELT" in the file's header


def migrations() -> dict[int, str]:
    """The SQL of each migration by its number."""
    folder = resources.files("beltline.stores.sqlite") / "migrations"
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")),
        key=lambda file: file.name,
    )
    return {int(file.name.split("_")[0]): file.read_text(encoding="utf-8") for file in files}


def is_current(db: apsw.Connection, path: Path) -> bool:
    """Whether nothing is to be done. Raises `NotAStore` and `StoreTooNew`."""
    version = db.pragma("user_version")
    newest = max(migrations())
    tables = db.execute("SELECT EXISTS (SELECT 1 FROM sqlite_schema)").get
    if tables and db.pragma("application_id") != APPLICATION_ID:
        raise NotAStore(
            f"the database {path} belongs to another program: give the store another path"
        )
    if version > newest:
        raise StoreTooNew(
            f"the store {path} has version {version} and this hub knows {newest}:"
            " install the newer hub again, or restore a backup from before it"
        )
    return bool(version == newest)


def migrate(db: apsw.Connection, path: Path) -> None:
    """Applies the migrations that are missing; another process may do so at the same time."""
    for number, script in migrations().items():
        db.execute("BEGIN IMMEDIATE")
        try:
            if not is_current(db, path) and db.pragma("user_version") < number:
                db.execute(script)
                db.pragma("application_id", APPLICATION_ID)
                db.pragma("user_version", number)
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
