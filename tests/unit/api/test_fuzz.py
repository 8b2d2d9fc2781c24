"""Whatever is sent, the answer is a success or a clear 4xx: never a 5xx, never silence."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from beltline.api.operation import Endpoint
from beltline.api.routes import ROUTES
from beltline.core.limits import TINY
from tests.unit.api.stage import Stage, running_stage

JSON_LIKE = st.text(st.sampled_from('[]{}":,\\ud80a01-+.eENaIfin \n\x00é'), max_size=60)
BODIES = st.one_of(st.binary(max_size=80), JSON_LIKE.map(lambda text: text.encode()))
CONTENT_TYPES = st.sampled_from(
    ["application/json", "application/x-www-form-urlencoded", "text/yaml", "text/plain", "", ";",
     "application/json; charset=x", "application/json; charset"]
)  # fmt: skip
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
QUERIES = st.one_of(
    st.text(st.sampled_from("abcdefilmnorstu&=%0123456789+-:TZ"), max_size=40),
    st.sampled_from(["limit=5", "status=stopped", "before=" + "0" * 36, "version=1"]),
)


def test_the_intake_answers_every_sender(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        context = running_stage(tmp_path, limits=TINY)
        stage: Stage = runner.run(context.__aenter__())
        stage.add_source(
            "source: once\nkind: webhook\nprocess: lead\nverify: none\n"
            'identity: {by: "{{ request.a }}", window: 1h}\n'
        )

        @settings(max_examples=300, deadline=None)
        @given(st.sampled_from(["form", "once"]), BODIES, CONTENT_TYPES, st.booleans())
        def send(source: str, body: bytes, content_type: str, in_parts: bool) -> None:
            parts = [body[:3], body[3:]] if in_parts else body
            answer = runner.run(stage.send(source, parts, content_type=content_type))
            assert answer.status == 202 or 400 <= answer.status < 500

        try:
            send()
        finally:
            runner.run(context.__aexit__(None, None, None))


def test_the_api_answers_every_caller(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        context = running_stage(tmp_path, limits=TINY)
        stage: Stage = runner.run(context.__aenter__())
        run = runner.run(stage.send("form", {"verdict": "bad"})).json()["run"]
        runner.run(stage.at_rest(run, "stopped"))

        @settings(max_examples=400, deadline=None)
        @given(
            st.sampled_from(ROUTES),
            st.one_of(NAMES, st.sampled_from([run, "lead", "form", "echo"])),
            QUERIES,
            BODIES,
            CONTENT_TYPES,
        )
        def ask(endpoint: Endpoint, name: str, query: str, body: bytes, content_type: str) -> None:
            path = endpoint.path
            for braces in ("{id}", "{name}", "{source}"):
                path = path.replace(braces, name.replace("?", "") or "x")
            method = endpoint.method
            answer = runner.run(
                stage.ask(method, f"{path}?{query}", body, content_type=content_type)
            )
            assert 200 <= answer.status < 300 or 400 <= answer.status < 500, answer.body

        try:
            ask()
        finally:
            runner.run(context.__aexit__(None, None, None))
