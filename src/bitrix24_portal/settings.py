"""What can be set on a portal, with the values of a real one where it has them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta, timezone
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PortalSettings:
    """The settings of one portal.

    `rate_per_s` 0 turns the rate limit off, `operating_limit_s` 0 the operating limit.
    `faults_endpoint` opens `POST /faults`, by which tests order errors from outside.
    """

    data: Path
    secret: str = "local"  # noqa: S105 - the code of a portal that holds made-up data
    user_id: int = 1
    address: str = "http://127.0.0.1:8600"  # how callers and handlers reach this portal
    rate_per_s: float = 2.0
    burst: int = 50
    operating_limit_s: float = 480.0
    application_token: str = "local-application-token"  # noqa: S105 - the same
    delivery_timeout_s: float = 5.0
    body_bytes: int = 8_388_608  # a batch of fifty commands with long comments fits
    utc_offset_h: int = 3  # the portal's own time zone, Moscow by default
    faults_endpoint: bool = False
    outgoing: tuple[str, ...] = ()  # addresses that are told of every event, as by a webhook

    @property
    def zone(self) -> timezone:
        """The zone that the portal's dates are written in."""
        return timezone(timedelta(hours=self.utc_offset_h))

    @property
    def host(self) -> str:
        """The portal's address without the scheme, as events name it."""
        return self.address.split("://", 1)[-1].rstrip("/")
