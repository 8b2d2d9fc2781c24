"""The keys of a source of files: where they come, which ones, and what becomes of them."""

from __future__ import annotations

import codecs
import re
from typing import Any, ClassVar, Literal

import msgspec

from beltline.core.limits import LIMITS
from beltline.core.problem import Place
from beltline.definition.finding import Report
from beltline.definition.looking import read_every
from beltline.definition.shape import (
    check_keys,
    kind_of,
    read_connection_name,
    read_duration_ms,
    read_object,
    read_text,
)

FILES_KEYS = (
    *("folder", "sftp", "s3", "pattern", "every", "settle"),
    *("each", "format", "encoding", "delimiter", "then"),
)
SETTLE_MS = 10_000
_PLACES = ("folder", "sftp", "s3")
_FORMATS = ("csv", "json", "jsonl", "text")
_OF_ROWS = ("csv", "jsonl")
_HOST_KEY = re.compile(r"(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}( .*)?\Z")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}\Z")

FileFormat = Literal["csv", "json", "jsonl", "text"]
Each = Literal["file", "row"]
Then = Literal["move", "delete", "keep"]


class Folder(msgspec.Struct, frozen=True):
    """A folder of this machine; a relative path begins at the home."""

    path: str


class Sftp(msgspec.Struct, frozen=True):
    """A folder behind SSH; `host_key` is what the server has to prove to be."""

    connection: str
    folder: str
    host_key: str


class S3(msgspec.Struct, frozen=True):
    """The objects of a bucket below a prefix (empty, or ending in a slash)."""

    connection: str
    bucket: str
    prefix: str = ""
    region: str = "us-east-1"


Where = Folder | Sftp | S3


class FilesWay(msgspec.Struct, frozen=True):
    """Each file whose name fits `pattern`, and that has not changed for `settle_ms` (0: nothing is
    waited for), is one request or one for each of its rows. `format` None goes by its ending.
    """

    kind: ClassVar[str] = "files"
    where: Where
    every_ms: int
    pattern: str = "*"
    settle_ms: int = SETTLE_MS
    each: Each = "file"
    format: FileFormat | None = None
    encoding: str = "utf-8"
    delimiter: str = ""
    then: Then = "move"

    @property
    def connection(self) -> str | None:
        """The connection that it needs."""
        return None if isinstance(self.where, Folder) else self.where.connection


def read_files(report: Report, data: dict[str, Any]) -> FilesWay | None:
    """Reads the keys of `FILES_KEYS`."""
    errors = report.errors
    where = _read_where(report, data)
    every_ms = read_every(report, data)
    each = _one_of(report, data, "each", ("file", "row"))
    format = _one_of(report, data, "format", _FORMATS) if "format" in data else None
    if each == "row" and format is not None and format not in _OF_ROWS:
        report.error(("format",), f"a file of the format {format} has no rows")
    way = FilesWay(
        where=where or Folder(""),
        every_ms=every_ms or 0,
        pattern=_read_pattern(report, data),
        settle_ms=_read_settle(report, data, where),
        each=each,
        format=format,
        encoding=_read_encoding(report, data),
        delimiter=_read_delimiter(report, data),
        then=_one_of(report, data, "then", ("move", "delete", "keep")),
    )
    return None if report.errors > errors or where is None else way


def _read_where(report: Report, data: dict[str, Any]) -> Where | None:
    given = [key for key in _PLACES if key in data]
    if not given:
        report.error(
            (),
            "the source does not say where its files are",
            "Add `folder: PATH`, `sftp: {connection: NAME, …}` or `s3: {connection: NAME, …}`.",
        )
        return None
    if len(given) > 1:
        report.error(
            (given[1],), f"files come from one place, not from {' and '.join(given)}", of_key=True
        )
        return None
    at: Place = (given[0],)
    if given[0] == "folder":
        path = _filled(report, data["folder"], at, "folder")
        return None if path is None else Folder(path)
    inner = read_object(report, data[given[0]], at, given[0])
    if inner is None:
        return None
    return _read_sftp(report, inner, at) if given[0] == "sftp" else _read_s3(report, inner, at)


def _read_sftp(report: Report, data: dict[str, Any], at: Place) -> Sftp | None:
    check_keys(report, data, ("connection", "folder", "host_key"), at, "sftp")
    connection = _connection(report, data, at, "sftp")
    folder = _filled(report, data.get("folder", "."), (*at, "folder"), "folder")
    advice = "`ssh-keyscan HOST` shows it; have its owner confirm it."
    if "host_key" not in data:
        report.error(
            at, "sftp needs the key of the server, so that no other can pose as it", advice
        )
        return None
    host_key = read_text(report, data["host_key"], (*at, "host_key"), "host_key")
    if host_key is not None and not _HOST_KEY.match(host_key.strip()):
        report.error(
            (*at, "host_key"),
            "host_key must be like ssh-ed25519 AAAAC3Nz…, without the host",
            advice,
        )
        return None
    if connection is None or folder is None or host_key is None:
        return None
    return Sftp(connection, folder, host_key.strip())


def _read_s3(report: Report, data: dict[str, Any], at: Place) -> S3 | None:
    check_keys(report, data, ("connection", "bucket", "prefix", "region"), at, "s3")
    connection = _connection(report, data, at, "s3")
    if "bucket" not in data:
        report.error(at, "s3 needs a bucket", "Add `bucket: NAME`.")
        return None
    bucket = read_text(report, data["bucket"], (*at, "bucket"), "bucket")
    if bucket is not None and not _BUCKET.match(bucket):
        report.error((*at, "bucket"), f'"{bucket[:100]}" cannot name a bucket')
        bucket = None
    prefix = read_text(report, data.get("prefix", ""), (*at, "prefix"), "prefix")
    region = _filled(report, data.get("region", "us-east-1"), (*at, "region"), "region")
    if connection is None or bucket is None or prefix is None or region is None:
        return None
    prefix = prefix.strip("/")
    return S3(connection, bucket, f"{prefix}/" if prefix else "", region)


def _connection(report: Report, data: dict[str, Any], at: Place, what: str) -> str | None:
    if "connection" not in data:
        report.error(at, f"{what} needs a connection", "Add `connection: NAME`.")
        return None
    return read_connection_name(report, data["connection"], (*at, "connection"))


def _filled(report: Report, value: Any, at: Place, what: str) -> str | None:
    text = read_text(report, value, at, what)
    if text is not None and (not text.strip() or "\0" in text):
        report.error(at, f"{what} must not be empty")
        return None
    return text


def _read_pattern(report: Report, data: dict[str, Any]) -> str:
    at: Place = ("pattern",)
    pattern = _filled(report, data.get("pattern", "*"), at, "pattern") or "*"
    if "/" in pattern:
        report.error(
            at, "pattern is about names: folders inside the folder are not looked into",
            "Write it like *.csv.",
        )  # fmt: skip
    return pattern


def _read_settle(report: Report, data: dict[str, Any], where: Where | None) -> int:
    default = 0 if isinstance(where, S3) else SETTLE_MS  # an object appears whole or not at all
    if "settle" not in data:
        return default
    if data["settle"] == "none":
        return 0
    at: Place = ("settle",)
    settle_ms = read_duration_ms(
        report, data["settle"], at, "settle", most_ms=LIMITS.wait_ms, limit="wait_ms"
    )
    return default if settle_ms is None else settle_ms


def _read_encoding(report: Report, data: dict[str, Any]) -> str:
    encoding = read_text(report, data.get("encoding", "utf-8"), ("encoding",), "encoding")
    try:
        known = codecs.lookup(encoding or "utf-8")
        b"a\n".decode(known.name)
    except (LookupError, ValueError):
        report.error(
            ("encoding",),
            f'"{(encoding or "")[:100]}" is no encoding of text',
            "Write utf-8 or windows-1251.",
        )
        return "utf-8"
    return known.name


def _read_delimiter(report: Report, data: dict[str, Any]) -> str:
    if "delimiter" not in data:
        return ""
    delimiter = data["delimiter"]
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
        report.error(("delimiter",), "delimiter must be one character", 'Write it like ";".')
        return ""
    if data.get("each") != "row":
        report.error(("delimiter",), "only rows have a delimiter", "Add `each: row`.", of_key=True)
    return delimiter


def _one_of(report: Report, data: dict[str, Any], key: str, known: tuple[str, ...]) -> Any:
    value = data.get(key, known[0])
    if value not in known:
        said = f'"{value[:100]}"' if isinstance(value, str) else kind_of(value)
        report.error((key,), f"{key} can be {', '.join(known)}, not {said}")
        return known[0]
    return value
