"""Rows of a database as JSON, without loss: what JSON has no type for is a text."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import sqlalchemy
from sqlalchemy import CursorResult, TextClause

_LARGEST = 2**63


class TooMuch(Exception):
    """The author: the answer passes a bound; the text names it."""


class BadValue(Exception):
    """The author: what was given or what came cannot be told; the text says where."""


def query_rows(
    database: sqlalchemy.Connection,
    statement: TextClause,
    values: Mapping[str, Any],
    *,
    most: int,
    most_bytes: int,
    more: str,
    bytes_limit: str,
) -> list[dict[str, Any]]:
    """The rows of a query; see `read_rows`. What is not read does not come into memory."""
    if database.dialect.name in ("mysql", "mariadb"):
        # A cursor that streams has to read all to its end there, however much it is.
        database.exec_driver_sql(f"SET SESSION sql_select_limit = {most + 1}")
    else:
        database = database.execution_options(stream_results=True, max_row_buffer=1_000)
    return read_rows(
        database.execute(statement, values),
        most=most,
        most_bytes=most_bytes,
        more=more,
        bytes_limit=bytes_limit,
    )


def read_rows(
    result: CursorResult[Any], *, most: int, most_bytes: int, more: str, bytes_limit: str
) -> list[dict[str, Any]]:
    """The rows, each as an object by its columns. `more` tells what bounds their number,
    `bytes_limit` what bounds their size. Raises `TooMuch` and `BadValue`.
    """
    rows: list[dict[str, Any]] = []
    room = most_bytes
    with closing(result):
        names = list(result.keys())
        if len(set(names)) != len(names):
            raise BadValue("two columns of the query have one name: name them with `as`")
        for row in result:
            if len(rows) == most:
                raise TooMuch(f"the query gives more than {most:,} rows ({more})")
            told = {name: as_json(value) for name, value in zip(names, row, strict=True)}
            room -= len(msgspec.json.encode(told)) + 1
            if room < 0:
                raise TooMuch(f"the rows take more than {most_bytes:,} bytes ({bytes_limit})")
            rows.append(told)
    return rows


def as_json(value: Any) -> Any:
    """A value of a database as JSON. Decimals are texts, since they are exact; a float that is no
    number is nothing; a length of time is `H:MM:SS`.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return value if -_LARGEST <= value < _LARGEST else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, dict):
        return {str(key): as_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(one) for one in value]
    if isinstance(value, timedelta):
        return _length_of_time(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)


def _length_of_time(value: timedelta) -> str:
    sign = "-" if value < timedelta() else ""
    whole, micro = divmod(round(abs(value) / timedelta(microseconds=1)), 1_000_000)
    minutes, seconds = divmod(whole, 60)
    fraction = f".{micro:06}" if micro else ""
    return f"{sign}{minutes // 60}:{minutes % 60:02}:{seconds:02}{fraction}"
