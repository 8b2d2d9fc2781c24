"""Operations on the secrets that the hub keeps: they are written, and never read back."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from beltline.api.access import Role
from beltline.api.operation import Call, Nothing, operation
from beltline.api.problem import Problem
from beltline.definition.secret import is_secret_name
from beltline.engine.vault import VALUE_BYTES, VaultTrouble


class SecretNames(msgspec.Struct, frozen=True):
    """What the hub keeps, by name. Secrets of the environment are not among them."""

    secrets: list[str]


class SecretBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The value of a secret."""

    value: Annotated[str, Meta(min_length=1, max_length=VALUE_BYTES)]


@operation(needs=Role.EDITOR, answer=SecretNames)
async def list_secrets(call: Call[Nothing, Nothing]) -> SecretNames:
    """Lists the secrets that the hub keeps, by name."""
    await call.hub.vault.load()
    return SecretNames(call.hub.vault.names())


@operation(needs=Role.ADMIN, body=SecretBody, answer=SecretNames, problems=(409, 422))
async def set_secret(call: Call[Nothing, SecretBody]) -> SecretNames:
    """Keeps a secret, encrypted, in place of an earlier one. One of the environment stands over
    it.
    """
    name = _name(call)
    try:
        await call.hub.vault.put(name, call.body.value)
    except VaultTrouble as trouble:
        raise Problem(409, "no-key", f"{trouble}.") from trouble
    return SecretNames(call.hub.vault.names())


@operation(needs=Role.ADMIN, answer=SecretNames, problems=(404, 422))
async def remove_secret(call: Call[Nothing, Nothing]) -> SecretNames:
    """Forgets a secret."""
    name = _name(call)
    if not await call.hub.vault.remove(name):
        raise Problem(404, "no-such-secret", "The hub keeps no secret of this name.")
    return SecretNames(call.hub.vault.names())


def _name(call: Call[Nothing, Any]) -> str:
    name = call.path["name"]
    if not is_secret_name(name):
        raise Problem(
            422,
            "wrong-name",
            "A secret's name has letters, digits and _, such as SITE_FORM_SECRET.",
        )
    return name
