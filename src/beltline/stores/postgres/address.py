"""Where the database is: `postgresql://user@host:port/database`, and how this hub is to use it.

The address is the one that libpq and asyncpg understand. Of several hosts (`db-1,db-2:5433`) the
first that can be written to is taken. One word of it is the hub's own: `pooling=transaction` says
that a pooler such as PgBouncer stands between, which gives each transaction another connection.
Nothing that lives in a connection is used then.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

SCHEMES = ("postgresql", "postgres")
POOLING = "pooling"
WRITABLE = ("target_session_attrs", "read-write")


class Address(msgspec.Struct, frozen=True):
    """`url` is what asyncpg is given; `pooled` whether transactions share connections."""

    url: str
    pooled: bool

    @property
    def shown(self) -> str:
        """The address without its password, for messages."""
        parts = urlsplit(self.url)
        user, at, hosts = parts.netloc.rpartition("@")
        return urlunsplit((parts.scheme, user.partition(":")[0] + at + hosts, parts.path, "", ""))

    @property
    def each_host(self) -> list[str]:
        """The same address with one host each, so that each can be given its own time."""
        parts = urlsplit(self.url)
        user, at, hosts = parts.netloc.rpartition("@")
        return [urlunsplit(parts._replace(netloc=user + at + host)) for host in hosts.split(",")]


def is_postgres(url: str) -> bool:
    """Whether a store's address is one of PostgreSQL."""
    return url.partition("://")[0] in SCHEMES


def read_address(url: str) -> Address:
    """The address in a store's URL. Raises `ValueError`."""
    parts = urlsplit(url)
    words = parse_qsl(parts.query, keep_blank_values=True)
    pooling = [value for name, value in words if name == POOLING]
    if any(value != "transaction" for value in pooling):
        raise ValueError(f"the store address knows only {POOLING}=transaction, not {pooling[0]!r}")
    if not parts.path.strip("/"):
        raise ValueError(
            "the store address names no database: write postgresql://user@host:5432/database"
        )
    words = [(name, value) for name, value in words if name != POOLING]
    if "," in parts.netloc and WRITABLE[0] not in dict(words):
        words.append(WRITABLE)
    return Address(urlunsplit(parts._replace(query=urlencode(words))), bool(pooling))
