"""The test of a connection to 1C: whether the interface takes the user, and what it publishes."""

from __future__ import annotations

from beltline.modules.onec.client import KIND, ask
from beltline.sdk import ClientFailed, Connection, ConnectionKind, Http


async def check(connection: Connection, http: Http) -> str:
    """Asks for the list of what is published. Raises `ClientFailed`."""
    answer = await ask(http, connection, "GET", "")
    published = answer.get("value") if isinstance(answer, dict) else None
    if not isinstance(published, list):
        raise ClientFailed("the address answers, but not as OData of 1C does")
    if not published:
        raise ClientFailed(
            "1C takes the user, and publishes nothing: choose the objects of the standard interface"
            " OData in the infobase"
        )
    return f"1C takes the user, and publishes {len(published):,} objects"


kind = ConnectionKind(name=KIND, check=check)
