"""`POST /in/{source}`: the way of every request into the hub, as bare ASGI since it is the hot one.

    read (bounded) -> verify -> parse -> identity -> submit ... commit ... 202

The sender is told 202 only after `submit` returned, which is after the commit.
"""

from __future__ import annotations

import asyncio

import msgspec
import structlog
from starlette.types import Receive, Scope, Send

from beltline.api.answer import JSON, Answer, answer_of, send_answer
from beltline.api.body import SenderGone, read_whole
from beltline.api.hub import Hub
from beltline.api.problem import Problem, unavailable
from beltline.core.model import Process
from beltline.definition.source import Source
from beltline.definition.webhook import WebhookWay
from beltline.engine.ids import id_of
from beltline.engine.loader import VersionUnusable
from beltline.engine.ports import NotFound
from beltline.engine.records import Repeat
from beltline.engine.release_plan import drained_at
from beltline.engine.releaser import release_now
from beltline.engine.work import Accepted, Refused
from beltline.sources.refusal import RequestRefused, SecretMissing
from beltline.sources.verification import Received
from beltline.sources.webhook import Webhook

PREFIX = "/in/"
_PAUSED_S = 60  # nobody can tell when a person resumes a source
_QUIET_MS = 60_000  # a cause that every request meets is logged once a minute

_log = structlog.get_logger(__name__)


class TakenIn(msgspec.Struct, frozen=True):
    """The answer to a sender: the request is durable. `run` is null while it is held back;
    `status` is where its way can be followed.
    """

    request: str
    run: str | None
    status: str


class IntakeRoute:
    """The ASGI app behind `/in/`."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._webhooks: dict[str, Webhook] = {}
        self._logged_at: dict[tuple[str, str], int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        name: str = scope["path"][len(PREFIX) :]
        try:
            answer = await self._take_in(name, scope, receive)
        except RequestRefused as refused:
            answer = answer_of(
                Problem(refused.status, refused.kind, refused.detail, where=refused.where)
            )
        except Problem as problem:
            answer = answer_of(problem)
        except SecretMissing as missing:
            self._log_once("a source cannot verify its senders", name, str(missing))
            answer = answer_of(
                unavailable(
                    "source-not-ready",
                    "This source cannot verify its senders now, and accepts nothing. Its operator"
                    " finds the reason in the log.",
                    60,
                )
            )
        except asyncio.CancelledError:
            # The server cuts off what is still under way when it stops. A commit may have been made
            # all the same, so this is not an error of the hub but an answer in doubt.
            if not self._hub.node.intake.is_closed:
                raise
            answer = answer_of(
                unavailable(
                    "in-doubt",
                    "It is not known whether the request was stored: the hub is stopping. Send it"
                    " again; under an identity it is taken in once.",
                )
            )
        except SenderGone:
            return
        self._hub.counters.count_intake(answer.status)
        await send_answer(send, answer)

    async def _take_in(self, name: str, scope: Scope, receive: Receive) -> Answer:
        hub = self._hub
        webhook = self._webhook(name)
        if scope["method"] != "POST":
            raise Problem(
                405,
                "wrong-method",
                f"A source takes POST, not {scope['method'][:20]}.",
                headers={"allow": "POST"},
            )
        intake = hub.node.intake
        reason = intake.refusal()
        if reason:
            raise unavailable("not-accepting", f"No request can be accepted now: {reason}.")
        headers = scope["headers"]
        body = await read_whole(receive, headers, hub.limits)
        held = await hub.holds_back(webhook.source)
        if held:
            await self._require_room(webhook.source)
        key, now = intake.new_key()
        request = webhook.read(Received(headers, body, now), key, held=held, limits=hub.limits)
        version_id, process = (0, None) if held else self._process(name, request.process)
        answer = await intake.submit(request, version_id, process)
        if isinstance(answer, Accepted):
            if held:
                hub.backlogs.accepted(webhook.source)
            return _accepted(id_of(key), answer.held)
        if isinstance(answer, Refused) and answer.is_in_doubt:
            raise unavailable(
                "in-doubt",
                "It is not known whether the request was stored. Send it again; under an identity"
                f" it is taken in once: {answer.reason}.",
            )
        if isinstance(answer, Refused):
            raise unavailable("not-accepting", f"The request was not stored: {answer.reason}.")
        return await self._repeated(answer)

    async def _require_room(self, source: Source) -> None:
        """Refuses where the source's backlog is full, and says when there will be room again."""
        hub = self._hub
        excess = await hub.backlogs.excess(source)
        if not excess or source.buffering.backlog is None:
            return
        now = hub.clock.now()
        release = release_now(source, (await hub.source_states.get()).get(source.name))
        room_at = drained_at(release, excess, now)
        wait_s = _PAUSED_S if room_at is None else max(1, -(-(room_at - now) // 1_000))
        raise Problem(
            source.buffering.backlog.status,
            "backlog-full",
            f"{source.buffering.backlog.most:,} requests wait already, as many as this source"
            " holds. Send it again later.",
            headers={"retry-after": str(wait_s)},
        )

    def _webhook(self, name: str) -> Webhook:
        source = self._hub.sources.get(name)
        if source is None or not isinstance(source.way, WebhookWay):
            raise Problem(
                404, "no-such-source", "There is no source of this name. Check the address."
            )
        webhook = self._webhooks.get(name)
        if webhook is None or webhook.source is not source:
            webhook = self._webhooks[name] = Webhook(source, source.way, self._hub.secret)
        return webhook

    def _process(self, source: str, process: str) -> tuple[int, Process]:
        try:
            return self._hub.processes.newest(process)
        except (NotFound, VersionUnusable) as why:
            self._log_once("a source has no process to start", source, str(why))
            raise unavailable(
                "source-not-ready",
                "This source has no process that could start now. Its operator finds the reason"
                " in the log.",
                60,
            ) from why

    async def _repeated(self, repeat: Repeat) -> Answer:
        """The first's answer for the same request again; 409 for another one."""
        if not repeat.same_body:
            raise Problem(
                409,
                "identity-taken",
                f"The identity of this request belongs to another one, {id_of(repeat.key)}, which"
                " had another body. Send a new identity, or the same body.",
            )
        try:
            first, _ = await self._hub.store.run(repeat.key)
            held = first.version_id is None
        except NotFound:
            held = False  # it ended so long ago that it is not kept any more
        answer = _accepted(id_of(repeat.key), held)
        return msgspec.structs.replace(answer, headers={"idempotent-replay": "true"})

    def _log_once(self, event: str, source: str, reason: str) -> None:
        now = self._hub.clock.now()
        if now - self._logged_at.get((source, event), -_QUIET_MS) >= _QUIET_MS:
            self._logged_at[(source, event)] = now
            _log.error(event, source=source, reason=reason)


def _accepted(id: str, held: bool) -> Answer:
    run = "null" if held else f'"{id}"'
    body = f'{{"request":"{id}","run":{run},"status":"/api/v1/runs/{id}"}}'
    return Answer(202, body.encode(), JSON)
