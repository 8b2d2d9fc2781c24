"""Taking requests out of a buffer by other ways than their turn: too late, or by a person's hand.

Whatever becomes of a request stands in the journal of its run. So one that is dropped, or that has
waited for too long, gets a run too, and with it the message that ends or stops that run before
anything of it is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from beltline.core.duration import duration_text
from beltline.core.inputs import EXPIRED, Cancel, SetAside, encode_message
from beltline.core.limits import Limits
from beltline.engine.ids import time_of
from beltline.engine.ports import Store
from beltline.engine.records import HeldRequest


async def drop(
    store: Store,
    keys: Sequence[bytes],
    versions: Mapping[str, int],
    now: int,
    *,
    reason: str,
    by: str,
) -> int:
    """Ends held requests as cancelled; gives their number."""
    message = encode_message(Cancel(f"dropped from its buffer: {reason}", by))
    return await store.let_go(keys, versions, now, message)


async def expire(
    store: Store, versions: Mapping[str, int], limits: Limits, now: int
) -> list[HeldRequest]:
    """Makes dead letters of requests that have waited for too long, of processes in `versions`;
    gives them.
    """
    late = await store.expired(list(versions), now, limits.batch)
    by_wait: dict[int, list[bytes]] = {}
    for one in late:
        assert one.expires_at is not None
        waited_ms = one.expires_at - time_of(one.key)
        by_wait.setdefault(waited_ms, []).append(one.key)
    for waited_ms, keys in by_wait.items():
        reason = f"it waited in its buffer for longer than {duration_text(waited_ms)}"
        await store.let_go(keys, versions, now, encode_message(SetAside(reason, EXPIRED)))
    return late
