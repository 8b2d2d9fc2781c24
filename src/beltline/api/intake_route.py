"""`/in/{source}`: the way of every request into the hub, as bare ASGI since it is the hot one.

    read (bounded) -> verify -> parse -> schema, identity -> keep files -> submit ... commit ... 202

The sender is told 202 only after `submit` returned, which is after the commit. What only some
sources have (pages, origins, senders that wait) stands in files of its own, beside this way.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import orjson
import structlog
from starlette.types import Receive, Scope, Send

from beltline.api.answer import Answer, answer_of, send_answer
from beltline.api.body import SenderGone, announced_bytes, read_whole
from beltline.api.cross_origin import check_origin, readable_headers
from beltline.api.hub import Hub
from beltline.api.portal_events import PortalEvents
from beltline.api.problem import Problem, problem_of, unavailable
from beltline.api.source_pages import SourcePages
from beltline.api.taken_in import AnswerFailed, accepted, finished, own_answer, responded
from beltline.api.telegram_updates import TelegramUpdates
from beltline.api.waiting import WaitingSenders, seconds_of
from beltline.core.events import AnswerGiven
from beltline.core.explanation import moment
from beltline.definition.bitrix24 import Bitrix24Way
from beltline.definition.source import Source
from beltline.definition.telegram import TelegramWay
from beltline.definition.webhook import WebhookWay
from beltline.engine.attachments import Attachment
from beltline.engine.ids import id_of
from beltline.engine.ports import NotFound, StoreAway, StoreFull
from beltline.engine.records import NewRequest, Repeat
from beltline.engine.release_plan import drained_at
from beltline.engine.releaser import release_now
from beltline.engine.work import Accepted, Refused
from beltline.sources.headers import Headers
from beltline.sources.reception import BacklogFull, NoProcess
from beltline.sources.refusal import RequestRefused, SecretMissing, identity_taken
from beltline.sources.request import new_request
from beltline.sources.verification import Received
from beltline.sources.webhook import Challenged, Taken, Webhook

PREFIX = "/in/"
_PAUSED_S = 60  # nobody can tell when a person resumes a source
# Where nothing can be stored, or it is not known whether it was.
_NO_VERDICT = frozenset(("not-accepting", "in-doubt"))
_QUIET_MS = 60_000  # a cause that every request meets is logged once a minute

_log = structlog.get_logger(__name__)


class IntakeRoute:
    """The ASGI app behind `/in/`."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._webhooks: dict[str, Webhook] = {}
        self._logged_at: dict[tuple[str, str], int] = {}
        self._waiting = WaitingSenders(hub)
        self._pages = SourcePages(hub)
        self._portal_events = PortalEvents(hub)
        self._telegram_updates = TelegramUpdates(hub)
        self._uploads = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        name: str = scope["path"][len(PREFIX) :]
        webhook: Webhook | None = None
        try:
            source = self._hub.sources.get(name)
            if source is not None and isinstance(source.way, Bitrix24Way):
                answer = await self._portal_events.answer(source, scope, receive)
            elif source is not None and isinstance(source.way, TelegramWay):
                answer = await self._telegram_updates.answer(source, scope, receive)
            else:
                webhook = self._webhook(name)
                answer = await self._answer(webhook, scope, receive)
        except RequestRefused as refused:
            answer = answer_of(problem_of(refused))
        except Problem as problem:
            answer = answer_of(problem)
        except Challenged as challenged:
            answer = Answer(200, orjson.dumps({"challenge": challenged.answer}))
        except SecretMissing as missing:
            self._log_once("a source cannot verify its senders", name, str(missing))
            answer = answer_of(
                _not_ready(
                    "This source cannot verify its senders now, and accepts nothing. Its operator"
                    " finds the reason in the log."
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
        except (StoreAway, StoreFull) as trouble:
            self._log_once("the store cannot be used", name, str(trouble))
            answer = answer_of(
                unavailable(
                    "not-accepting", "No request can be accepted now: the store cannot be used."
                )
            )
        except SenderGone:
            return
        if webhook is not None and webhook.is_dressed:
            answer = self._dressed(webhook, answer, scope["headers"])
        self._hub.counters.count_intake(answer.status)
        await send_answer(send, answer)

    async def _answer(self, webhook: Webhook, scope: Scope, receive: Receive) -> Answer:
        headers = scope["headers"]
        if scope["method"] != "POST":
            return self._pages.answer(webhook, scope)
        self._check_open()
        if webhook.way.body_bytes is not None:
            return await self._take_in_sized(webhook, headers, receive)
        body = await self._read(webhook, headers, receive)
        return await self._take_in(webhook, headers, body)

    def _check_open(self) -> None:
        """Raises `Problem` (503) where nothing can be stored."""
        reason = self._hub.node.intake.refusal()
        if reason:
            raise unavailable("not-accepting", f"No request can be accepted now: {reason}.")

    async def _read(
        self,
        webhook: Webhook,
        headers: Headers,
        receive: Receive,
        limit: str = "request_body_bytes",
        most: int | None = None,
    ) -> bytes:
        """The body. What is refused before it is read is noted."""
        try:
            if webhook.is_dressed:
                check_origin(webhook.way, headers)
            return await read_whole(receive, headers, self._hub.limits, limit, most)
        except Problem as problem:
            key, now = self._hub.node.intake.new_key()
            self._note(webhook, Received(headers, b"", now), key, problem, is_read=False)
            raise

    async def _take_in(self, webhook: Webhook, headers: Headers, body: bytes) -> Answer:
        """Takes a request in; where it is refused that is noted."""
        key, now = self._hub.node.intake.new_key()
        received = Received(headers, body, now)
        try:
            return await self._accept(webhook, received, key)
        except RequestRefused as refused:
            self._note(webhook, received, key, refused)
            page = self._pages.refused(webhook, received, refused)
            if page is None:
                raise
            return page
        except Problem as problem:
            if problem.kind not in _NO_VERDICT:
                self._note(webhook, received, key, problem)
            raise
        except SecretMissing as missing:
            self._note(webhook, received, key, _not_ready(str(missing)))
            raise

    def _note(
        self,
        webhook: Webhook,
        received: Received,
        key: bytes,
        why: RequestRefused | Problem,
        *,
        is_read: bool = True,
    ) -> None:
        notes, source = self._hub.notes, webhook.source.name
        if notes.take_slot(source):
            came = webhook.came(received, self._hub.limits, is_read=is_read)
            notes.refused(source, key, came, why.status, why.kind, str(why))

    async def _accept(self, webhook: Webhook, received: Received, key: bytes) -> Answer:
        hub, source, headers = self._hub, webhook.source, received.headers
        held = await hub.reception.holds_back(source)
        if len(received.body) <= hub.limits.request_body_bytes:
            taken = webhook.read(received, key, hub.limits)
        else:  # hashing what came takes a while, and the belt is not to wait for it
            taken = await asyncio.to_thread(webhook.read, received, key, hub.limits)
        request = new_request(source, taken.offered, held=held, limits=hub.limits)
        if taken.files:
            await self._keep(taken.files)
        try:
            answer = await hub.reception.take_in(source, request)
        except BacklogFull as full:
            raise await self._backlog_full(source, full.excess) from full
        except NoProcess as why:
            self._log_once("a source has no process to start", source.name, str(why))
            raise _not_ready(
                "This source has no process that could start now. Its operator finds the reason"
                " in the log."
            ) from why
        if isinstance(answer, Accepted):
            if taken.prefer or webhook.answers_itself:
                return await self._told(webhook, taken, request, headers)
            return accepted(id_of(key), answer.held)
        if isinstance(answer, Refused) and answer.is_in_doubt:
            raise unavailable(
                "in-doubt",
                "It is not known whether the request was stored. Send it again; under an identity"
                f" it is taken in once: {answer.reason}.",
            )
        if isinstance(answer, Refused):
            raise unavailable("not-accepting", f"The request was not stored: {answer.reason}.")
        if not answer.same_body:
            raise identity_taken(answer.key)
        if hub.notes.take_slot(source.name):
            came = webhook.came(received, hub.limits)
            hub.notes.repeated(source.name, key, came, answer.key)
        return await self._repeated(webhook, answer, taken, request, headers)

    async def _take_in_sized(self, webhook: Webhook, headers: Headers, receive: Receive) -> Answer:
        """For a source that says how large a body may be. Few of those that are larger than others
        are in memory at a time.
        """
        limits = self._hub.limits
        most, limit = webhook.body_most(headers, limits)
        announced = announced_bytes(headers)
        is_large = most > limits.request_body_bytes and (
            announced is None or announced > limits.request_body_bytes
        )
        if is_large and self._uploads >= limits.uploads_at_once:
            raise unavailable(
                "busy", "Too many large bodies come in at once (limit uploads_at_once).", 2
            )
        self._uploads += is_large
        try:
            body = await self._read(webhook, headers, receive, limit, most)
            return await self._take_in(webhook, headers, body)
        finally:
            self._uploads -= is_large

    async def _keep(self, files: list[Attachment]) -> None:
        try:
            await self._hub.blobs.keep({file.id: file.content for file in files})
        except OSError as wrong:
            self._log_once("files of requests cannot be kept", "", str(wrong))
            raise unavailable(
                "not-accepting", "The files of the request cannot be kept now. Send it again."
            ) from wrong

    async def _backlog_full(self, source: Source, excess: int) -> Problem:
        """The refusal of a source whose backlog is full: it says when there will be room again."""
        hub, backlog = self._hub, source.buffering.backlog
        assert backlog is not None
        now = hub.clock.now()
        release = release_now(source, (await hub.source_states.get()).get(source.name))
        room_at = drained_at(release, excess, now)
        wait_s = _PAUSED_S if room_at is None else max(1, -(-(room_at - now) // 1_000))
        return Problem(
            backlog.status,
            "backlog-full",
            f"{backlog.most:,} requests wait already, as many as this source"
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

    async def _told(
        self,
        webhook: Webhook,
        taken: Taken,
        request: NewRequest,
        headers: Headers,
        *,
        held: bool | None = None,
        meta: dict[str, Any] | None = None,
        key: bytes | None = None,
    ) -> Answer:
        """The answer for a request that is durable: the run's result for a sender that waits for
        it, else the source's own answer, or its page, or the hub's. The last three are given for
        a repeat, and are the first's.
        """
        key = request.key if key is None else key
        held = request.held if held is None else held
        way = webhook.way
        seconds = seconds_of(taken.prefer) if taken.prefer and not held else 0
        try:
            if seconds:
                result = await self._waiting.result(key, way.wait, seconds)
                if isinstance(result, AnswerGiven):
                    return responded(result, f"wait={seconds}")
                if result is not None:
                    return finished(id_of(key), result, f"wait={seconds}")
            if way.answer is not None:
                told = orjson.loads(request.meta) if meta is None else meta
                at = request.accepted_at
                return own_answer(way.answer, taken.offered.value, told, at, self._hub.limits)
        except AnswerFailed as failed:
            self._log_once("a source's own answer failed", webhook.source.name, str(failed))
        page = self._pages.thanks(webhook, headers)
        return accepted(id_of(key), held) if page is None else page

    async def _repeated(
        self,
        webhook: Webhook,
        repeat: Repeat,
        taken: Taken,
        request: NewRequest,
        headers: Headers,
    ) -> Answer:
        """The first's answer for the same request again."""
        id = id_of(repeat.key)
        held, accepted_at = False, request.accepted_at
        try:
            first, _ = await self._hub.store.run(repeat.key)
            held, accepted_at = first.version_id is None, first.accepted_at
        except NotFound:
            pass  # it ended so long ago that it is not kept any more
        if taken.prefer or webhook.answers_itself:
            meta = {**orjson.loads(request.meta), "id": id, "time": moment(accepted_at)}
            answer = await self._told(
                webhook, taken, request, headers, held=held, meta=meta, key=repeat.key
            )
        else:
            answer = accepted(id, held)
        headers_too = {**answer.headers, "idempotent-replay": "true"}
        return msgspec.structs.replace(answer, headers=headers_too)

    def _dressed(self, webhook: Webhook, answer: Answer, headers: Headers) -> Answer:
        """The answer with what a browser wants to see."""
        own: dict[str, str] = {}
        if answer.status == 401 and webhook.authenticate:
            own["www-authenticate"] = webhook.authenticate
        if webhook.way.cors is not None:
            own |= readable_headers(webhook.way, headers)
        if webhook.way.form is not None:
            answer = self._pages.in_words(webhook, answer, headers)
        return msgspec.structs.replace(answer, headers={**own, **answer.headers}) if own else answer

    def _log_once(self, event: str, source: str, reason: str) -> None:
        now = self._hub.clock.now()
        if now - self._logged_at.get((source, event), -_QUIET_MS) >= _QUIET_MS:
            self._logged_at[(source, event)] = now
            _log.error(event, source=source, reason=reason)


def _not_ready(detail: str) -> Problem:
    """503: the operator of the source has to mend it."""
    return unavailable("source-not-ready", detail, 60)
