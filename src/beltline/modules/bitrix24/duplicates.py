"""Who has one of these phones or e-mail addresses: what `crm.duplicate.findbycomm` tells."""

from __future__ import annotations

from collections.abc import Sequence

from beltline.modules.bitrix24.client import call
from beltline.sdk import Context

VALUES = 20  # of one call


async def ids_of(context: Context, entity: str, kind: str, values: Sequence[str]) -> list[int]:
    """The ids of the leads, contacts or companies (`LEAD`, …) that have one of the values as
    their `PHONE` or `EMAIL`, in their order. Raises `PortalFailed`.
    """
    found: set[int] = set()
    for first in range(0, len(values), VALUES):
        asked = {
            "type": kind,
            "values": list(values[first : first + VALUES]),
            "entity_type": entity,
        }
        answer = await call(context, "crm.duplicate.findbycomm", asked)
        ids = answer.get(entity, []) if isinstance(answer, dict) else []
        found.update(int(id) for id in ids)
    return sorted(found)
