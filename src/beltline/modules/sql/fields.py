"""Parameters that the modules of databases share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.sdk import Duration, field

Parameters = Annotated[
    Mapping[str, Any],
    field(
        "Parameters",
        "The value of each parameter. A list is for `in :names`.",
        examples=[{"phone": "{{ request.phone }}"}],
        constant="keys",
    ),
]
Timeout = Annotated[
    Duration,
    field(
        "Timeout",
        "How long it may take; the step's own timeout bounds it, too.",
        examples=["10s"],
    ),
]
