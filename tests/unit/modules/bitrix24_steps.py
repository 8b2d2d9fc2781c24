"""One step of a Bitrix24 module against prepared answers."""

from __future__ import annotations

from typing import Any

from beltline.sdk import HttpFailed, HttpResponse, Module
from beltline.sdk.testing import answer
from tests.unit.modules.fakes import CRM, PreparedHttp, context, rest_method

Call = tuple[str, dict[str, Any]]


async def step(
    module: Module[Any, Any],
    params: dict[str, Any],
    *answers: HttpResponse | HttpFailed,
    attempt: int = 1,
) -> tuple[Any, list[Call]]:
    """What the step answers, and its calls as (method, parameters)."""
    http = PreparedHttp(*answers)
    outcome = await answer(module, params, context(http, connection=CRM, attempt=attempt))
    assert http.answers == [], "the step made fewer calls than were prepared"
    return outcome, [(rest_method(sent), sent.json) for sent in http.sent]
