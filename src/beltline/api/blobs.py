"""The operation on files that came with requests."""

from __future__ import annotations

from beltline.api.access import Role
from beltline.api.answer import Answer
from beltline.api.operation import Call, Nothing, operation
from beltline.api.problem import Problem, unavailable

_ANY_TYPE = "application/octet-stream"


@operation(needs=Role.VIEWER, media=_ANY_TYPE, problems=(404, 503))
async def read_blob(call: Call[Nothing, Nothing]) -> Answer:
    """Gives a file of a request, by the `blob` of its document."""
    try:
        found = await call.hub.blobs.read(call.path["id"])
    except OSError as wrong:
        raise unavailable("blobs-away", "The files cannot be read now.") from wrong
    if found is None:
        raise Problem(404, "no-such-blob", "There is no such file here.")
    size, pieces = found
    # Whatever a sender called it, a browser is to keep it and not to show it.
    headers = {"content-disposition": "attachment"}
    return Answer(200, b"", _ANY_TYPE.encode(), headers, pieces, size)
