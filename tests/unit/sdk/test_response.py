"""`Retry-After`, in both of its forms."""

from __future__ import annotations

import pytest

from beltline.sdk import HttpResponse

NOW = "Mon, 23 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "120"}, 120),
        ({"retry-after": " 0 "}, 0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "9" * 400}, 999_999_999),
        ({"retry-after": "Mon, 23 Nov 2026 10:01:30 GMT", "date": NOW}, 90),
        ({"retry-after": "Mon, 23 Nov 2026 09:00:00 GMT", "date": NOW}, 0),
        ({"retry-after": "Mon, 23 Nov 2026 10:01:30 GMT"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 10:01:30 GMT", "date": "yesterday"}, None),
        ({"retry-after": "soon", "date": NOW}, None),
    ],
)
def test_the_wait_that_an_answer_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert HttpResponse(503, headers, b"").retry_after_s() == seconds
