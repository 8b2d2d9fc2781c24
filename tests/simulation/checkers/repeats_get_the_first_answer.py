"""One identity starts one run: who sends again is told of the first, and whether it is the same."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tests.simulation.record import Record, Sending, Stored


def check(record: Record) -> Iterator[str]:
    """Looks at every identity: what was stored under it, and what its senders were told."""
    by_identity: dict[tuple[str, str], list[tuple[bytes, Stored]]] = {}
    for key, stored in sorted(record.requests.items()):
        if stored.identity is not None:
            by_identity.setdefault((stored.source, stored.identity), []).append((key, stored))
    accepted: dict[tuple[str, str], list[Sending]] = {}
    for sending in record.sendings:
        if sending.told == "accepted" and sending.identity is not None:
            accepted.setdefault((sending.source, sending.identity), []).append(sending)
    for (_, identity), sendings in accepted.items():
        sendings.sort(key=lambda sending: sending.sent_at_ms)
        for first, second in pairwise(sendings):
            if second.sent_at_ms < first.sent_at_ms + record.window_ms:
                yield f"identity {identity!r} was accepted twice within its window"
    for sending in record.sendings:
        if sending.told != "repeat":
            continue
        name = (sending.source, sending.identity or "")
        first_request = dict(by_identity.get(name, ())).get(sending.key)
        if first_request is None:
            yield f"a repeat of {sending.identity!r} was told of a request that is not there"
        elif sending.same_body != (first_request.body == sending.body):
            yield f"a repeat of {sending.identity!r} was told wrongly whether its body is the same"
