"""Polls of an address: pages, cursors, items once each; by the hub's own client, over a socket."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from beltline.core.limits import TINY, Limits
from beltline.egress.client import OutgoingClient
from beltline.sources.door import FeedTrouble, NotTaken
from tests.unit.api.stage import Stage
from tests.unit.sources.looking import Looking, connection_of

HEAD = "source: shop\nkind: poll\nprocess: lead\nevery: 1m\nhttp:\n  connection: shop\n"


class Shop:
    """A server with orders; `answers` go out one after the other, the last one for ever."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[Any] = []
        self.address = ""

    async def answer(self, request: web.Request) -> web.Response:
        """What the test laid out."""
        self.asked.append(str(request.rel_url))
        self.headers.append(dict(request.headers))
        one = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return one if isinstance(one, web.Response) else web.json_response(one)


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    shop = Shop()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", shop.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    shop.address = f"http://127.0.0.1:{runner.addresses[0][1]}/api"
    yield shop
    await runner.cleanup()


@pytest.fixture
async def http() -> AsyncIterator[OutgoingClient]:
    async with OutgoingClient() as client:
        yield client


class Poll:
    """Makes polls of the shop."""

    def __init__(self, stage: Stage, shop: Shop, http: OutgoingClient, home: Path) -> None:
        self.stage, self.shop, self.http, self.home = stage, shop, http, home

    def __call__(self, rest: str, *, user: str = "", limits: Limits | None = None) -> Looking:
        account = connection_of("shop", self.shop.address, user, "s3cret")
        text = HEAD + "".join(f"  {line}\n" for line in rest.splitlines())
        more = {} if limits is None else {"limits": limits}
        return Looking(self.stage, text, self.home, account, http=self.http, **more)


@pytest.fixture
def poll(stage: Stage, shop: Shop, http: OutgoingClient, tmp_path: Path) -> Poll:
    return Poll(stage, shop, http, tmp_path)


async def test_new_items_come_once_and_the_cursor_goes_into_the_query(
    poll: Poll, shop: Shop
) -> None:
    shop.answers = [
        {"orders": [{"id": 1, "at": "2026-01-01T10:00Z"}, {"id": 2, "at": "2026-01-01T09:00Z"}]},
        {"orders": [{"id": 1, "at": "2026-01-01T10:00Z"}, {"id": 3, "at": "2026-01-02T00:00Z"}]},
        {"orders": []},
    ]  # fmt: skip
    orders = poll(
        'path: orders\nquery: {since: "{{ cursor }}", state: new}\nitems: "{{ answer.orders }}"\n'
        'id: "{{ item.id }}"\ncursor: "{{ item.at }}"'
    )
    await orders.look()
    orders.again()
    await orders.look()
    await orders.look()
    assert [one["id"] for one in await orders.bodies()] == [1, 2, 3]
    assert shop.asked == [
        "/api/orders?state=new",
        "/api/orders?since=2026-01-01T10:00Z&state=new",
        "/api/orders?since=2026-01-02T00:00Z&state=new",
    ]
    assert {one["Authorization"] for one in shop.headers} == {"Bearer s3cret"}
    assert (await orders.requests())[2]["meta"]["item"] == "3"


async def test_without_an_id_an_item_is_told_by_its_content(poll: Poll, shop: Shop) -> None:
    shop.answers = [
        [{"a": 1, "b": 2}],
        [{"b": 2, "a": 1}, {"a": 2}],
        {"a": 3},
        web.Response(status=204),
    ]
    orders = poll("headers: {X-Shop: a}", user="anna")
    for _ in range(4):
        await orders.look()
    assert await orders.bodies() == [{"a": 1, "b": 2}, {"a": 2}, {"a": 3}]
    token = base64.b64encode(b"anna:s3cret").decode()
    assert shop.headers[0]["Authorization"] == f"Basic {token}"
    assert shop.headers[0]["X-Shop"] == "a"
    assert shop.asked == ["/api"] * 4


async def test_pages_by_address_and_the_cursor_of_the_last_answer(poll: Poll, shop: Shop) -> None:
    shop.answers = [
        {"items": [1], "next": "?page=2", "token": "t1"},
        {"items": [2], "next": "/api/changes?page=3", "token": "t2"},
        {"items": [3], "next": None, "token": "t3"},
    ]
    changes = poll(
        'path: "changes/{{ cursor }}"\nitems: "{{ answer.items }}"\nnext: "{{ answer.next }}"\n'
        'cursor: "{{ answer.token }}"\nstart: "a/../b"'
    )
    await changes.look()
    assert await changes.bodies() == [1, 2, 3]
    assert shop.asked == [
        "/api/changes/a%2F..%2Fb",
        "/api/changes/a%2F..%2Fb?page=2",
        "/api/changes?page=3",
    ]
    assert await changes.door.cursor() == {"cursor": "t3"}


async def test_pages_by_a_token_in_the_query(poll: Poll, shop: Shop) -> None:
    shop.answers = [{"rows": [1], "token": "x y"}, {"rows": [2], "token": ""}]
    rows = poll(
        'query: {pageToken: "{{ next }}"}\nitems: "{{ answer.rows }}"\nnext: "{{ answer.token }}"'
    )
    await rows.look()
    assert await rows.bodies() == [1, 2]
    assert shop.asked == ["/api", "/api?pageToken=x+y"]


async def test_the_cursor_moves_on_after_the_last_page_is_durable(
    poll: Poll, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = {"items": [{"id": 9}, {"id": 8}], "next": "?page=2"}
    second = {"items": [{"id": 7}, {"id": 6}]}
    shop.answers = [first, web.Response(status=500, text="oh"), first, second, first, second]
    orders = poll(
        'items: "{{ answer.items }}"\nid: "{{ item.id }}"\ncursor: "{{ item.id }}"\n'
        'next: "{{ answer.next }}"'
    )
    with pytest.raises(FeedTrouble, match="answered 500: oh"):
        await orders.look()
    assert await orders.door.cursor() is None

    async def full(offerings: Any) -> Any:
        raise NotTaken("full")

    with monkeypatch.context() as patch:
        shop.answers = [first, second]
        patch.setattr(orders.door, "offer_many", full)
        with pytest.raises(NotTaken):
            await orders.look()
    shop.answers = [first, second]
    await orders.look()
    assert [one["id"] for one in await orders.bodies()] == [9, 8, 7, 6]
    assert await orders.door.cursor() == {"cursor": 9}


async def test_an_item_that_will_never_be_taken_is_passed_and_told(poll: Poll, shop: Shop) -> None:
    shop.answers = [[{"id": 1}, {"name": "nobody"}, {"id": 3, "text": "x" * 1_100_000}, {"id": 4}]]
    orders = poll('id: "{{ item.id }}"\ncursor: "{{ item.id }}"')
    await orders.look()
    assert [one["id"] for one in await orders.bodies()] == [1, 4]
    assert orders.door.state.refused == 2
    assert "request_body_bytes" in orders.door.state.refusal
    assert await orders.door.cursor() == {"cursor": 4}
    large, nameless = await orders.verdicts()
    assert (nameless.kind, nameless.body) == ("no-identity", b'{"name":"nobody"}')
    assert (large.kind, large.body) == ("too-large", None)


@pytest.mark.parametrize(
    ("answer", "rest", "reason"),
    [
        (web.Response(text="<html>"), "", "cannot be read: The body is not JSON"),
        (web.Response(text='{"a":1,"a":2}'), "", "stands twice"),
        (web.Response(status=401, text="no"), "", "answered 401: no"),
        ({"n": "http://127.0.0.1:9/x"}, 'next: "{{ answer.n }}"', "the next page of http://127.0.0.1:"),
        ({"n": "?a"}, 'next: "{{ answer.n }}"', "one that was asked before"),
        ({"n": 2}, 'next: "{{ answer.n }}"', "`next` gives no address"),
        ([{"i": 1}, {"i": "x"}], 'cursor: "{{ item.i }}"', "cannot be compared"),
        ([1], "items: \"{{ answer.$number('x') }}\"", "an expression of the source failed"),
    ],
)  # fmt: skip
async def test_what_goes_wrong_says_why(
    poll: Poll, shop: Shop, answer: Any, rest: str, reason: str
) -> None:
    shop.answers = [answer]
    if isinstance(answer, web.Response):
        shop.answers = [web.Response(status=answer.status, text=answer.text)]
    with pytest.raises(FeedTrouble) as caught:
        await poll(rest).look()
    assert reason in str(caught.value)
    assert "s3cret" not in str(caught.value)


async def test_a_server_that_asks_for_patience_gets_it(poll: Poll, shop: Shop) -> None:
    shop.answers = [web.Response(status=429, headers={"Retry-After": "120"})]
    with pytest.raises(FeedTrouble) as caught:
        await poll("").look()
    assert caught.value.after_s == 120


async def test_pages_without_end_are_bounded(poll: Poll, shop: Shop) -> None:
    shop.answers = [{"n": f"?page={n}"} for n in range(1, 9)]
    with pytest.raises(FeedTrouble, match="more than 3 pages in one look"):
        await poll('next: "{{ answer.n }}"\nitems: "{{ answer.none }}"', limits=TINY).look()
    assert len(shop.asked) == 3


async def test_private_addresses_need_the_leave_of_a_connection(
    stage: Stage, shop: Shop, http: OutgoingClient, tmp_path: Path
) -> None:
    text = HEAD.replace("connection: shop", f"url: {shop.address}")
    shop.answers = [[1]]
    with pytest.raises(FeedTrouble, match="a loopback address"):
        await Looking(stage, text, tmp_path, http=http).look()
    assert shop.asked == []
