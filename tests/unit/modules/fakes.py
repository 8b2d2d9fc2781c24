"""The context of a step in the tests of modules, and the account of a portal."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from beltline.sdk import Connection, HttpResponse, Secret
from beltline.sdk.context import idempotency_key
from beltline.sdk.testing import Lines, Memory, PreparedHttp, Sent, answered
from beltline.sdk.testing import given as context

KEY = idempotency_key("run-1", "step-1", 1)
CRM = Connection(
    name="crm",
    kind="bitrix24",
    address="https://portal.example/rest/1/",
    secret=Secret("w3bh00k"),
)


def rest_method(sent: Sent) -> str:
    """The Bitrix24 method of a request."""
    return urlsplit(sent.url).path.rpartition("/")[2].removesuffix(".json")


def portal(result: Any, **more: Any) -> HttpResponse:
    """A Bitrix24 answer with this result."""
    return answered(200, {"result": result, **more})


__all__ = [
    "CRM",
    "KEY",
    "Lines",
    "Memory",
    "PreparedHttp",
    "Sent",
    "answered",
    "context",
    "portal",
    "rest_method",
]
