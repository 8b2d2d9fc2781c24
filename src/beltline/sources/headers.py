"""The headers of a request: looked up without guessing, and the few that are kept with it.

Headers are pairs of bytes with names in small letters, as ASGI gives them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from beltline.sources.refusal import RequestRefused

Headers = Sequence[tuple[bytes, bytes]]

# What may stand in `meta.headers`. An allow-list, since headers carry credentials under many
# names: a header that is not here is never stored.
KEPT = frozenset(
    (
        b"accept-language",
        b"content-type",
        b"idempotency-key",
        b"origin",
        b"referer",
        b"traceparent",
        b"user-agent",
        b"webhook-id",
        b"webhook-timestamp",
        b"x-correlation-id",
        b"x-event-key",
        b"x-event-type",
        b"x-github-delivery",
        b"x-github-event",
        b"x-gitlab-event",
        b"x-request-id",
    )
)


def only_value(headers: Headers, name: bytes) -> bytes | None:
    """The value of a header that decides something; None where it is absent.

    Raises `RequestRefused` (400) where it stands twice: readers differ on which one counts.
    """
    found: bytes | None = None
    for key, value in headers:
        if key == name:
            if found is not None:
                raise RequestRefused(
                    400,
                    "repeated-header",
                    f"The header {name.decode('latin-1')} stands twice. Send it once.",
                )
            found = value
    return found


def kept_headers(headers: Headers, without: Iterable[bytes], bytes_most: int) -> dict[str, str]:
    """The headers that are kept with a request; a repeated one is joined by commas.

    `without` names those that carry this source's own signature. Raises `RequestRefused` (431)
    where they are longer than `bytes_most` together.
    """
    kept: dict[str, str] = {}
    size = 0
    for key, value in headers:
        if key in KEPT and key not in without:
            size += len(key) + len(value)
            name, text = key.decode("latin-1"), value.decode("latin-1")
            kept[name] = f"{kept[name]}, {text}" if name in kept else text
    if size > bytes_most:
        raise RequestRefused(
            431,
            "too-large",
            f"The headers that are kept take {size:,} bytes, more than {bytes_most:,}"
            " (limit request_header_bytes).",
        )
    return kept


def shown_headers(
    headers: Headers, without: Iterable[bytes], bytes_most: int
) -> tuple[dict[str, str], list[str]]:
    """The headers of a request that is refused: those that may be kept, and the names alone of the
    others. What goes beyond `bytes_most` is left out.
    """
    kept: dict[str, str] = {}
    names: list[str] = []
    room = bytes_most
    for key, value in headers:
        is_kept = key in KEPT and key not in without
        room -= len(key) + (len(value) if is_kept else 0)
        if room < 0:
            break
        name = key.decode("latin-1")
        if is_kept:
            kept[name] = value.decode("latin-1")
        else:
            names.append(name)
    return kept, names
