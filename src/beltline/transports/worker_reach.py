"""Whether a call has reached its worker: what the dispatcher must know to tell an outage from a
failure of the worker's own.
"""

from __future__ import annotations

from beltline.engine.contract import ANSWER_MEDIA, PROBLEM_MEDIA, WORKER_HEADER
from beltline.engine.ports import Dispatched
from beltline.sdk import AnswerTooLarge, HttpFailed, HttpResponse
from beltline.transports.reach import AWAY_STATUSES


def note_failure(call: Dispatched, trouble: HttpFailed) -> None:
    """No answer came. What is permanent, such as an address that is refused, is no outage."""
    if isinstance(trouble, AnswerTooLarge):
        call.reached = "yes"
    elif not trouble.permanent:
        call.reached, call.trouble = "no" if trouble.unreachable else "broken", str(trouble)


def note_response(call: Dispatched, response: HttpResponse) -> None:
    """An answer came: of the worker, or of what stands before it and says that it is not there. A
    worker that is not ready says so in its own words, and is called by the step's `retry`.
    """
    media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_own = WORKER_HEADER in response.headers or media in (ANSWER_MEDIA, PROBLEM_MEDIA)
    if response.status in AWAY_STATUSES and not is_own:
        call.reached, call.trouble = "away", f"it answered with status {response.status}"
    else:
        call.reached = "yes"
