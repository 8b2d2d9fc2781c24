"""A portal and the hubs that look at it, as processes: every change becomes exactly one run,
whatever becomes of the events, the portal and the hubs.

Whoever waits here asks the processes, again and again, until it is so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.integration.portal_and_hubs import (
    HubNode,
    Portal,
    post_event,
    until,
    write_home,
)
from tests.servers.ports import free_ports
from tests.servers.postgres import postgres
from tests.servers.wanted import wanted

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NO_LIMIT = ("--rate", "0")
SELDOM = "every: 1h\nrecords: [lead]\n"  # what is found soon is found because of an event

Start = Callable[..., Awaitable[tuple[Portal, list[HubNode]]]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a portal and hubs that know each other, and waits until all have looked."""
    async with AsyncExitStack() as opened:

        async def begin(
            rest: str, *options: str, nodes: int = 1, store: str = "", runs: bool = True
        ) -> tuple[Portal, list[HubNode]]:
            ports = free_ports(nodes)
            portal = Portal(tmp_path, *options, hubs=ports)
            portal.session = await opened.enter_async_context(aiohttp.ClientSession())
            opened.push_async_callback(portal.kill)
            await portal.start()
            home = tmp_path / "home"
            write_home(home, portal, rest)
            hubs = [HubNode(home, port, store) for port in ports]
            if store:
                await hubs[0].command("publish")
            for hub in hubs:
                opened.push_async_callback(hub.kill)
                if runs:
                    await hub.start()
                    await until(hub.has_looked)
            return portal, hubs

        yield begin


async def add_leads(portal: Portal, count: int) -> set[int]:
    """Adds leads by few calls."""
    return set(await portal.batch(["crm.lead.add?fields[TITLE]=x"] * count))


async def test_an_event_makes_the_hub_look_at_once(start: Start) -> None:
    portal, [hub] = await start(SELDOM, *NO_LIMIT)
    [id] = await add_leads(portal, 1)
    begun_s = time.monotonic()
    await hub.completed({("lead.add", id)})
    assert time.monotonic() - begun_s < 15  # and not the hour of `every`
    [noted] = await hub.noted()
    assert noted["found"] == "event"
    await portal.call("crm.lead.update", id=id, fields={"TITLE": "y"})
    await hub.completed({("lead.add", id), ("lead.update", id)})
    await portal.call("crm.lead.delete", id=id)
    await hub.completed({("lead.add", id), ("lead.update", id), ("lead.delete", id)})
    state = await hub.feed()
    assert (state["state"], state["taken"], state["refused"]) == ("running", 3, 0)


async def test_half_of_the_events_lost_doubled_late_the_hub_killed_the_portal_away(
    start: Start,
) -> None:
    portal, [hub] = await start("every: 2s\nrecords: [lead]\n", *NO_LIMIT)
    changes = {"method": "ONCRMLEAD[AU]*", "times": 10_000}
    await portal.order(
        {"kind": "lose-event", "nth": 2, **changes},
        {"kind": "double-event", "nth": 3, "method": "ONCRMLEAD*", "times": 10_000},
        {"kind": "late-event", "nth": 2, "delay_s": 2.5, **changes},
        {"kind": "error", "method": "crm.item.list", "times": 6, "nth": 3, "status": 503,
         "error": "QUERY_LIMIT_EXCEEDED"},
        {"kind": "lose-answer", "method": "crm.item.list", "times": 6, "nth": 4},
        {"kind": "drop", "method": "crm.item.list", "times": 6, "nth": 5},
    )  # fmt: skip
    ids: set[int] = set()
    for _ in range(3):
        ids |= await add_leads(portal, 20)
        await hub.kill()
        ids |= await add_leads(portal, 5)
        await hub.start()
    expected = {("lead.add", id) for id in ids}
    await hub.completed(expected)

    await portal.batch([f"crm.lead.update?id={id}&fields[TITLE]=y" for id in sorted(ids)])
    await portal.kill()
    await until(lambda: _is_failing(hub))
    await portal.start()
    await hub.kill()
    await hub.start()
    expected |= {("lead.update", id) for id in ids}
    await hub.completed(expected)

    await portal.batch([f"crm.lead.delete?id={id}" for id in sorted(ids)])
    await hub.completed(expected | {("lead.delete", id) for id in ids})
    outcomes = await portal.outcomes()
    assert outcomes["lost"] >= len(ids) // 2
    assert outcomes["answered 200"] >= len(ids)


async def _is_failing(hub: HubNode) -> bool:
    return bool((await hub.feed())["state"] == "failing")


async def test_a_kill_between_the_answer_and_the_look_loses_nothing(start: Start) -> None:
    portal, [hub] = await start(SELDOM, *NO_LIMIT)
    asked = len(await portal.lists())
    ids = await add_leads(portal, 3)

    async def answered() -> bool:
        return (await portal.outcomes())["answered 200"] == 3

    await until(answered)
    await hub.kill()
    assert len(await portal.lists()) == asked, "it looked before it was killed"
    await hub.start()
    await hub.completed({("lead.add", id) for id in ids})


async def test_a_forged_token_is_refused_and_makes_nobody_look(start: Start) -> None:
    portal, [hub] = await start(SELDOM, *NO_LIMIT)
    asked = len(await portal.lists())
    now_s = int(time.time())
    for event in ("ONCRMLEADADD", "ONCRMLEADDELETE"):
        assert await post_event(hub.address, event, 1, now_s, token="forged") == 401
    assert await post_event(hub.address, "ONCRMLEADADD", 1, now_s) == 200

    async def looked() -> bool:
        return len(await portal.lists()) > asked

    await until(looked)  # because of the last one: those before it, had they rung, would be in it
    assert len(await portal.lists()) == asked + 1
    assert await hub.count() == 0


async def test_a_flood_of_events_is_no_flood_of_calls(start: Start) -> None:
    portal, [hub] = await start(SELDOM)  # with the limits of a real portal
    asked = len(await portal.lists())
    later_s = int(time.time()) + 3_600  # each is newer than any look, and rings
    begun_s = time.monotonic()
    for _ in range(10):
        sent = [post_event(hub.address, "ONCRMLEADUPDATE", n, later_s) for n in range(100)]
        assert set(await asyncio.gather(*sent)) == {200}
    [id] = await add_leads(portal, 1)
    await hub.completed({("lead.add", id)})
    lists = (await portal.lists())[asked:]
    assert 1 <= len(lists) <= 10 + (time.monotonic() - begun_s)
    assert {one["status"] for one in lists} == {200}


async def test_a_large_crm_is_read_at_a_pace_that_the_portal_bears(start: Start) -> None:
    portal, [hub] = await start(
        "every: 1h\nrecords: [lead]\nstart: all\n", "--burst", "20", runs=False
    )
    ids = await add_leads(portal, 180)
    await hub.start()
    await hub.completed({("lead.add", id) for id in ids})
    lists = await portal.lists()
    assert {one["status"] for one in lists} == {200}
    assert {one["params"]["start"] for one in lists} == {-1}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[str]:
    """An empty database, of a server that hubs accept: it is durable."""
    with wanted(postgres(tmp_path)) as server:
        yield server.database("portal")


async def test_each_of_several_nodes_looks_when_it_is_rung_and_each_change_is_told_once(
    start: Start, database: str
) -> None:
    portal, hubs = await start(SELDOM, *NO_LIMIT, nodes=3, store=database)
    await portal.order(
        {"kind": "lose-event", "nth": 2, "times": 10_000, "method": "ONCRMLEAD[AU]*"}
    )
    expected = {("lead.add", id) for id in await add_leads(portal, 30)}
    await hubs[0].completed(expected)
    bound = await portal.call("event.get")
    for hub in hubs:
        # One of them had the turn of this hour: an event that another hears makes that one look.
        others = [one for one in bound if one["handler"] != f"{hub.address}/in/crm"]
        for one in others:
            await portal.call("event.unbind", event=one["event"], handler=one["handler"])
        expected |= {("lead.add", id) for id in await add_leads(portal, 2)}  # one event is lost
        await hub.completed(expected)
        for one in others:
            await portal.call("event.bind", event=one["event"], handler=one["handler"])
    ids = await add_leads(portal, 10)
    await hubs[0].kill()
    await portal.call("crm.lead.delete", id=1)
    expected |= {("lead.add", id) for id in ids}
    await hubs[1].completed(expected | {("lead.delete", 1)})
