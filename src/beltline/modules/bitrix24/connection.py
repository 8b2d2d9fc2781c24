"""The test of a connection to a Bitrix24 portal: whether it takes the webhook, and for what."""

from __future__ import annotations

from beltline.sdk import ClientFailed, Connection, ConnectionKind, Http
from beltline.sdk.bitrix24 import KIND, PortalRefused, ask_portal


async def check(connection: Connection, http: Http) -> str:
    """Asks the portal what the webhook may do. Raises `ClientFailed`."""
    try:
        answer = await ask_portal(http, connection, "scope", {})
    except PortalRefused as refused:
        raise ClientFailed(refused.reason, permanent=refused.permanent) from refused
    rights = answer.get("result")
    if not isinstance(rights, list) or "crm" not in rights:
        raise ClientFailed(
            "the portal takes the webhook, which has no right to the CRM (scope crm)"
        )
    return f"the portal takes the webhook, which has the rights {', '.join(map(str, rights))}"


kind = ConnectionKind(name=KIND, check=check)
