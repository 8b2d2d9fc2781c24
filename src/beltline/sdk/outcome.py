"""What a handler may answer instead of a result."""

from __future__ import annotations

import msgspec


class Retry(msgspec.Struct, frozen=True):
    """The world was not ready: try this visit again.

    `after_s` is the earliest wait in seconds (None: by the step's policy). Counts as a failure.
    """

    reason: str
    after_s: float | None = None


class Reject(msgspec.Struct, frozen=True):
    """Trying again cannot help: the visit fails at once, and `reason` tells a person why."""

    reason: str
