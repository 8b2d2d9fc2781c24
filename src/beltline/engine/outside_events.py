"""Takes an event from outside in: once `give` returns it is durable, given to runs or kept."""

from __future__ import annotations

from typing import Any

from beltline.core.canonical import hash_of
from beltline.core.inputs import EventArrived, encode_message
from beltline.core.limits import Limits
from beltline.engine.event_store import EventTaken, OutsideEvent
from beltline.engine.ports import Store

KEEP_MS = 3_600_000


class WrongEvent(ValueError):
    """The caller: this is no event that a run could wait for. The message says why."""


def outside_event(arrived: EventArrived, keep_ms: int = KEEP_MS, *, limits: Limits) -> OutsideEvent:
    """The event as stores take it, which is kept for `keep_ms` where nobody waits. Raises
    `WrongEvent`.
    """
    for what, text in (("name", arrived.name), ("key", arrived.key), ("id", arrived.id)):
        if len(text.encode("utf-8", "surrogatepass")) > limits.event_key_bytes:
            most = limits.event_key_bytes
            raise WrongEvent(f"the {what} takes more than {most} bytes (limit event_key_bytes)")
    if not arrived.name:
        raise WrongEvent("the event has no name")
    if keep_ms > limits.event_keep_ms:
        days = limits.event_keep_ms / 86_400_000
        raise WrongEvent(f"an event is kept for at most {days:g} days (limit event_keep_ms)")
    told: list[Any] = [arrived.name, arrived.key, arrived.data]
    digest, wrong = hash_of(told)
    if wrong:
        raise WrongEvent(wrong)
    at = arrived.at
    forget_at = at + max(keep_ms, limits.event_id_ms)
    return OutsideEvent(
        id=arrived.id,
        name=arrived.name,
        key=arrived.key,
        at=at,
        keep_until=at + keep_ms,
        forget_at=forget_at,
        hash=bytes.fromhex(digest),
        body=encode_message(arrived),
    )


async def give(
    store: Store, arrived: EventArrived, keep_ms: int = KEEP_MS, *, limits: Limits
) -> EventTaken:
    """Has an event taken in. Raises `WrongEvent`, `StoreAway` and `StoreFull`: it may be asked for
    again, under the same id.
    """
    return await store.give_event(outside_event(arrived, keep_ms, limits=limits))
