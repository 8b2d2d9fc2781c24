"""Whatever is sent, the answer is a success or a clear 4xx: never a 5xx, never silence."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from beltline.api.operation import Endpoint
from beltline.api.routes import ROUTES
from beltline.core.limits import TINY
from tests.unit.api.stage import NOW, Stage, running_stage

JSON_LIKE = st.text(st.sampled_from('[]{}":,\\ud80a01-+.eENaIfin \n\x00é'), max_size=60)
BODIES = st.one_of(st.binary(max_size=80), JSON_LIKE.map(lambda text: text.encode()))
FORM_LIKE = st.text(st.sampled_from("a[]=&%+0b \n"), max_size=60)
XML_LIKE = st.text(st.sampled_from("<>/a='\"&#;![]?- x"), max_size=60).map("<a>{}</a>".format)
MULTIPART_LIKE = st.lists(
    st.sampled_from(
        ["--b", "--b--", "\r\n", "\r\n\r\n", "Content-Disposition: form-data; name=", '"a"', "a[]",
         '; filename="x"', "Content-Type: text/plain", ":", "-", "\r", "\n", "\xff"]
    ),
    max_size=20,
).map("".join)  # fmt: skip
SENT = st.one_of(
    BODIES,
    *(texts.map(lambda text: text.encode()) for texts in (FORM_LIKE, XML_LIKE, MULTIPART_LIKE)),
)
PACKED = st.one_of(SENT, SENT.map(gzip.compress), SENT.map(zlib.compress))
CONTENT_TYPES = st.sampled_from(
    ["application/json", "application/x-www-form-urlencoded", "text/yaml", "text/plain", "", ";",
     "application/json; charset=x", "application/json; charset", "application/xml", "text/xml;;",
     "multipart/form-data; boundary=b", "multipart/form-data", 'multipart/form-data; boundary="'],
)  # fmt: skip
ENCODINGS = st.sampled_from(["", "gzip", "deflate", "identity", "br", "gzip, gzip", "\xff"])
HEADERS = st.lists(
    st.sampled_from(
        [("Accept", "text/html"), ("Accept-Language", "ru"), ("Prefer", "wait=0"),
         ("Origin", "https://a.example"), ("Authorization", "Basic YTpi"), ("Host", "a.example"),
         ("Authorization", "Bearer x"), ("X-Slack-Signature", "v0=00"), ("Origin", "null"),
         ("X-Slack-Request-Timestamp", str(NOW // 1_000)), ("Prefer", ",;=,wait")]
    ),
    max_size=3,
)  # fmt: skip
RICH = """
kind: webhook
process: lead
answer: {headers: {X-A: "{{ request.a }}"}, body: {a: "{{ request.a }}", id: "{{ id }}"}}
wait: {document: true}
cors: {origins: [https://a.example]}
body: {most: 4KiB}
schema:
  properties:
    a: {type: integer}
    b: {enum: [x, 1]}
    f: {type: object, format: file}
"""
SOURCES = {
    "form": "",
    "once": 'kind: webhook\nprocess: lead\nverify: none\nidentity: {by: "{{ request.a }}"}',
    "rich": f"verify: none\nform: true{RICH}",
    "portal": 'kind: webhook\nprocess: lead\nverify: {bitrix24: "${K}"}',
    "slack": f'verify: {{slack: "${{K}}"}}\nchallenge: slack{RICH}',
    "meta": f'verify: none\nchallenge: {{meta: "${{K}}"}}{RICH}',
    "basic": f'verify: {{basic: {{user: a, secret: "${{K}}"}}}}\nform: true{RICH}',
}
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
QUERIES = st.one_of(
    st.text(st.sampled_from("abcdefilmnorstu&=%0123456789+-:TZ"), max_size=40),
    st.sampled_from(["limit=5", "status=stopped", "before=" + "0" * 36, "version=1", "sent"]),
    st.sampled_from(["hub.mode=subscribe&hub.challenge=1&hub.verify_token=b", "hub.mode=x&a=%ff"]),
)


def test_the_intake_answers_every_sender(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        context = running_stage(tmp_path, limits=TINY)
        stage: Stage = runner.run(context.__aenter__())
        stage.secrets["K"] = "b"
        for name, text in SOURCES.items():
            if text:
                stage.add_source(f"source: {name}\n{text}\n")

        @settings(max_examples=1_000, deadline=None)
        @given(
            st.sampled_from(list(SOURCES)),
            PACKED,
            CONTENT_TYPES,
            ENCODINGS,
            HEADERS,
            st.booleans(),
            st.sampled_from(["POST", "POST", "POST", "POST", "GET", "OPTIONS", "HEAD", "PUT"]),
            QUERIES,
        )
        def send(
            source: str,
            body: bytes,
            content_type: str,
            encoding: str,
            headers: list[tuple[str, str]],
            in_parts: bool,
            method: str,
            query: str,
        ) -> None:
            parts = [body[:3], body[3:]] if in_parts else body
            encoded = [("Content-Encoding", encoding)] if encoding else []
            answer = runner.run(
                stage.send(
                    f"{source}?{query}",
                    parts,
                    *encoded,
                    *headers,
                    content_type=content_type,
                    method=method,
                )
            )
            assert 200 <= answer.status < 500, answer.body

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
