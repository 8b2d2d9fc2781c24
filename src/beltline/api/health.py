"""Operations for whoever watches over the hub: whether it lives, is ready, and its figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from beltline.api.access import Role
from beltline.api.answer import Answer
from beltline.api.hub import Hub
from beltline.api.operation import Call, Nothing, operation
from beltline.api.problem import unavailable

METRICS_MEDIA = "text/plain; version=0.0.4; charset=utf-8"


class Alive(msgspec.Struct, frozen=True):
    """The process lives and answers."""

    status: Literal["ok"] = "ok"


@operation(needs=Role.PUBLIC, answer=Alive)
async def healthz(call: Call[Nothing, Nothing]) -> Alive:
    """Tells that the process lives."""
    return Alive()


@operation(needs=Role.PUBLIC, answer=Alive, problems=(503,))
async def readyz(call: Call[Nothing, Nothing]) -> Alive:
    """Tells whether requests are accepted now."""
    reason = call.hub.node.intake.refusal()
    if reason:
        raise unavailable("not-ready", f"No request can be accepted now: {reason}.")
    return Alive()


@operation(needs=Role.VIEWER, media=METRICS_MEDIA)
async def metrics(call: Call[Nothing, Nothing]) -> Answer:
    """Gives the figures for Prometheus."""
    # A registry of its own for each look: nothing is shared with other users of the library.
    registry = CollectorRegistry()
    registry.register(_Figures(call.hub, await call.hub.store.counts()))
    return Answer(200, generate_latest(registry), METRICS_MEDIA.encode())


class _Figures(Collector):
    """The hub's figures at one moment."""

    def __init__(self, hub: Hub, counts: dict[str, int]) -> None:
        self._hub = hub
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Every figure, in the order of the page."""
        node = self._hub.node
        yield _counter(
            "beltline_decisions",
            "Decisions of the belt since the start, each a row of a journal.",
            node.belt.decisions,
        )
        yield _counter(
            "beltline_steps_completed",
            "Steps of runs that completed with a result since the start.",
            node.belt.steps_completed,
        )
        yield _counter(
            "beltline_answers_fenced",
            "Answers of handlers that came too late and were not used.",
            node.belt.answers_fenced,
        )
        yield _counter(
            "beltline_commits",
            "Commits of the belt; decisions over commits is the size of a batch.",
            node.committer.commits,
        )
        yield _gauge(
            "beltline_gathering", "Rows that wait for the next commit.",
            len(node.committer.gathering),
        )  # fmt: skip
        yield _gauge(
            "beltline_store_full",
            "1 while the store has no room and nothing is accepted.",
            int(node.committer.is_full),
        )
        yield _gauge(
            "beltline_store_away",
            "1 while the store cannot be reached and nothing is accepted.",
            int(node.committer.is_away),
        )
        yield _gauge("beltline_runs_moving", "Runs in memory.", len(node.runs))
        yield _gauge(
            "beltline_documents_bytes",
            "About what the documents of the runs in memory take.",
            node.runs.documents_bytes(),
        )
        for name, about in (
            ("ready", "Runs that wait in the store for their time or for room in memory."),
            ("owned", "Runs that a node moves."),
            ("held", "Requests that sources hold back."),
            ("stopped", "Runs that wait for a person."),
        ):
            yield _gauge(f"beltline_runs_{name}", about, self._counts[name])
        yield from self._lines()
        yield from self._intake()

    def _lines(self) -> Iterator[Metric]:
        """What holds calls back, by the names of connections and modules."""
        figures = (
            ("away", "1 while the breaker is open or trying, and steps are parked for an outage."),
            ("under_way", "Calls that are under way."),
            ("waiting", "Calls that wait in memory for a turn that is near."),
        )
        families = [
            GaugeMetricFamily(f"beltline_line_{name}", about, labels=("line",))
            for name, about in figures
        ]
        parked = CounterMetricFamily(
            "beltline_line_parked", "Calls that were parked for a limit.", labels=("line",)
        )
        for line in self._hub.node.dispatcher.lines():
            is_away = line.breaker is not None and line.breaker.state != "closed"
            values = (int(is_away), line.under_way, len(line))
            for family, value in zip(families, values, strict=True):
                family.add_metric((line.name,), value)
            parked.add_metric((line.name,), line.parked)
        yield from families
        yield parked

    def _intake(self) -> Iterator[Metric]:
        answers = CounterMetricFamily(
            "beltline_intake_answers", "Answers to senders, by HTTP status.", labels=("status",)
        )
        for status, number in sorted(self._hub.counters.intake_answers.items()):
            answers.add_metric((str(status),), number)
        yield answers
        yield _counter(
            "beltline_verdicts_not_kept",
            "Refused or repeated requests that cannot be seen: there were too many at once.",
            self._hub.verdicts.not_kept,
        )


def _counter(name: str, about: str, value: int) -> Metric:
    return CounterMetricFamily(name, about, value=value)


def _gauge(name: str, about: str, value: int) -> Metric:
    return GaugeMetricFamily(name, about, value=value)
