"""Where an object is: its bucket, its key, its region."""

from __future__ import annotations

from typing import Annotated

from beltline.modules.far_files import check_path
from beltline.sdk import field

Bucket = Annotated[
    str,
    field(
        "Bucket",
        "The name of the bucket.",
        examples=["archive"],
        pattern="^[A-Za-z0-9][A-Za-z0-9._-]{1,62}$",
        constant="value",
    ),
]
Key = Annotated[
    str,
    field(
        "Key",
        "The key of the object.",
        examples=["leads/{{ request.id }}.json"],
        min_length=1,
        max_length=1_000,
    ),
]
Region = Annotated[
    str, field("Region", "The region of the bucket.", min_length=1, constant="value")
]


def check_key(key: str) -> None:
    """Refuses what is no plain key. Raises `ValueError`."""
    check_path(key, "key")
    if key.startswith("/") or key.endswith("/") or "//" in key:
        raise ValueError("`key` begins or ends with a slash, or has two in a row")
