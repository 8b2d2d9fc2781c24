"""The test of a connection to amoCRM: whether the account takes the token."""

from __future__ import annotations

from beltline.modules.amocrm.client import KIND, ask
from beltline.sdk import ClientFailed, Connection, ConnectionKind, Http


async def check(connection: Connection, http: Http) -> str:
    """Asks for the account. Raises `ClientFailed`."""
    account = await ask(http, connection, "GET", "/account")
    if not isinstance(account, dict) or "id" not in account:
        raise ClientFailed("the address answers, but not as an account of amoCRM does")
    return f"the account {account.get('name', '')!r} ({account['id']}) takes the token"


kind = ConnectionKind(name=KIND, check=check)
