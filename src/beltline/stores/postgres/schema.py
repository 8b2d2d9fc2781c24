"""Bringing a database up to date while nodes of the version before may still run on it.

A migration has two phases, each a file of SQL and one transaction:

    0002_words.expand.sql     adds; the version before goes on beside it. Applied by the first node
                              of the new version that starts, under a lock.
    0002_words.contract.sql   removes what only versions before this one need. Applied once none of
                              their nodes is left, by any node of the new version; from then on they
                              are refused.

Which was applied stands in `beltline.migration`, with the least version of the schema that a hub
must know. A file that was released is never changed again. An expand file that cannot hold beside
the version before begins with the line `-- alone`: with such nodes alive the start is refused.
"""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Literal

import msgspec

from beltline.stores.errors import NotAStore, StoreInUse, StoreTooNew
from beltline.stores.postgres.lane import Connection

Phase = Literal["expand", "contract"]

ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('beltline migrations'))"
ALONE = "-- alone"

FIRST = (
    "CREATE SCHEMA IF NOT EXISTS beltline;"
    " CREATE TABLE IF NOT EXISTS beltline.migration (number integer NOT NULL, phase text NOT NULL,"
    " applied_at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (number, phase))"
)

# Whether the schema is there, and whose it is.
STANDING = (
    "SELECT to_regclass('beltline.migration') IS NOT NULL AS is_ours,"
    " EXISTS (SELECT FROM pg_namespace WHERE nspname = 'beltline') AS is_taken"
)

# Nodes that live and know less than a version of the schema; one that was silent for a day is gone.
OLDER_NODES = (
    "SELECT name, version FROM beltline.node WHERE ended_at IS NULL AND schema_version < $1"
    " AND lease_until > clock_timestamp() - interval '1 day' ORDER BY id"
)


class Migration(msgspec.Struct, frozen=True, order=True):
    """One file."""

    number: int
    phase: Phase
    sql: str

    @property
    def is_alone(self) -> bool:
        """Whether it cannot hold beside nodes of the version before."""
        return self.sql.startswith(ALONE)


def migrations(folder: Traversable | None = None) -> list[Migration]:
    """The files, in the order in which they are applied: a number's expansion first."""
    folder = folder or resources.files("beltline.stores.postgres") / "migrations"
    found = []
    for file in folder.iterdir():
        if file.name.endswith(".sql"):
            number, words = int(file.name.split("_")[0]), file.name.split(".")
            phase: Phase = "contract" if "contract" in words else "expand"
            found.append(Migration(number, phase, file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda one: (one.number, one.phase == "contract"))


class Schema:
    """The schema that this version of the hub knows: `newest` is its number."""

    def __init__(self, known: list[Migration] | None = None) -> None:
        self._known = migrations() if known is None else known
        self.newest = max(one.number for one in self._known)

    async def bring_up_to_date(self, db: Connection) -> None:
        """Applies what is missing of the first phase, under a lock. Raises `StoreTooNew`,
        `StoreInUse` and `NotAStore` where this hub cannot work on the database as it is.
        """
        if await self._is_current(db):
            return
        async with db.transaction():
            await db.execute(ONE_AT_A_TIME)
            if await self._is_current(db):
                return
            await db.execute(FIRST)
            applied = await _applied(db)
            for one in self._known:
                if one.phase == "expand" and (one.number, one.phase) not in applied:
                    if one.is_alone and applied:
                        await self._refuse_beside_older(db, one)
                    await db.execute(one.sql)
                    await _note(db, one)

    async def contract(self, db: Connection) -> list[int]:
        """Applies what may be of the second phase; gives the numbers. Opens a transaction."""
        applied = await _applied(db)
        waiting = [
            one
            for one in self._known
            if one.phase == "contract" and (one.number, one.phase) not in applied
        ]
        done: list[int] = []
        for one in waiting:
            async with db.transaction():
                await db.execute(ONE_AT_A_TIME)
                # Nodes join under this lock's weaker kind, so none of an older version slips in.
                if await db.fetch(OLDER_NODES, one.number):
                    break
                if (one.number, one.phase) not in await _applied(db):
                    await db.execute(one.sql)
                    await _note(db, one)
                    done.append(one.number)
        return done

    async def _is_current(self, db: Connection) -> bool:
        standing = (await db.fetch(STANDING))[0]
        if not standing["is_ours"]:
            if standing["is_taken"]:
                raise NotAStore(
                    "the database has a schema named beltline that is not the hub's:"
                    " give the hub a database of its own"
                )
            return False
        applied = await _applied(db)
        self._check_not_too_new(applied)
        return all(
            (one.number, one.phase) in applied for one in self._known if one.phase == "expand"
        )

    def _check_not_too_new(self, applied: set[tuple[int, str]]) -> None:
        """A newer expansion is nothing to us; a newer contraction took away what we need."""
        least = max((number for number, phase in applied if phase == "contract"), default=0)
        if least > self.newest:
            raise StoreTooNew(
                f"the database was brought to version {least} of its schema, which no longer"
                f" carries this hub (it knows {self.newest}): install the newer hub again"
            )

    async def _refuse_beside_older(self, db: Connection, one: Migration) -> None:
        older: list[Any] = await db.fetch(OLDER_NODES, one.number)
        if older:
            names = ", ".join(f"{name} (version {version})" for name, version in older)
            raise StoreInUse(
                f"version {one.number} of the database's schema cannot hold beside the nodes that"
                f" run on it: {names}. Stop them first, then start this one"
            )


async def _applied(db: Connection) -> set[tuple[int, str]]:
    return {
        (number, phase)
        for number, phase in await db.fetch("SELECT number, phase FROM beltline.migration")
    }


async def _note(db: Connection, one: Migration) -> None:
    await db.execute(
        "INSERT INTO beltline.migration (number, phase) VALUES ($1, $2)", one.number, one.phase
    )
