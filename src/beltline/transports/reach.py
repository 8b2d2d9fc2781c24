"""What calls meet on their connection: the outgoing client tells the dispatcher, not the module.

A module may turn what went wrong into any answer of its own. So what its requests met is written
down beside it, in the calls themselves, where the dispatcher reads it when they end.
"""

from __future__ import annotations

from collections.abc import Mapping

from beltline.engine.ports import Dispatched, Reached
from beltline.sdk import Connection, Http, HttpFailed, HttpResponse

# What stands before the other side, or in its place, says that it is not there.
AWAY_STATUSES = frozenset({502, 503, 504})


class ReachingHttp:
    """`sdk.Http` for calls on one connection: one call, or all of a batch."""

    def __init__(self, http: Http, calls: list[Dispatched]) -> None:
        self._http = http
        self._calls = calls

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = 30.0,
        connection: Connection | None = None,
    ) -> HttpResponse:
        """Sends one request and notes what became of it. Raises `HttpFailed`."""
        is_ours = connection is not None
        for call in self._calls:
            call.requests += is_ours
        try:
            answer = await self._http.request(
                method,
                url,
                headers=headers,
                body=body,
                timeout_s=timeout_s,
                connection=connection,
            )
        except HttpFailed as failed:
            if is_ours and not failed.permanent:
                self._note("no" if failed.unreachable else "broken", str(failed))
            raise
        if is_ours and answer.status in AWAY_STATUSES:
            self._note("away", f"it answered with status {answer.status}")
        elif is_ours:
            self._note("yes", "")
        return answer

    def _note(self, reached: Reached, trouble: str) -> None:
        for call in self._calls:
            # What was sent once may have had an effect, whatever comes after it.
            was_sent = reached == "no" and call.reached in ("yes", "away", "broken")
            call.reached = "away" if was_sent else reached
            call.trouble = trouble
