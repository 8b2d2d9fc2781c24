"""The steps that the engine itself runs, by what a published step is pinned to.

Each is a case of the supervisor, not a handler: what it does is a decision, and stands in the
journal. Their declarations are modules without a handler, in `beltline.modules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from beltline.core.engine_steps import approve, call, for_each, respond, stop, wait, wait_event
from beltline.core.turn import EngineStep

ENGINE_STEPS: Final[Mapping[str, EngineStep]] = {
    "wait@1": EngineStep(wait.begin, wait.due),
    "stop@1": EngineStep(stop.begin),
    "respond@1": EngineStep(respond.begin),
    "call@1": EngineStep(call.begin),
    "for-each@1": EngineStep(for_each.begin),
    "approve@1": EngineStep(approve.begin, approve.due),
    "wait-event@1": EngineStep(wait_event.begin, wait_event.due),
}
