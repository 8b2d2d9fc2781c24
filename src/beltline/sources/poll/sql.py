"""Asks a database. The query runs in a thread of its own, in a transaction that is undone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from beltline.definition.poll import SqlPoll
from beltline.sdk import Connection
from beltline.sdk.database import (
    CONNECT_S,
    BadValue,
    NoDatabase,
    TooMuch,
    query_rows,
    transaction,
    words_of,
)
from beltline.sources.door import FeedTrouble
from beltline.sources.poll.feed import Page
from beltline.sources.surroundings import Surroundings

QUERY_S = 60


class SqlQuestion:
    """One look at a database."""

    def __init__(self, asks: SqlPoll, around: Surroundings) -> None:
        self._asks = asks
        self._around = around
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sql")
        self._is_asking = False

    async def pages(self, cursor: Any) -> AsyncIterator[Page]:
        """The one answer of a look."""
        if self._is_asking:
            raise FeedTrouble("the query of an earlier look still runs")
        ask = partial(self._rows, self._around.account(self._asks.connection), cursor)
        self._is_asking = True
        asked = asyncio.get_running_loop().run_in_executor(self._thread, ask)
        asked.add_done_callback(self._answered)
        try:
            rows = await asyncio.wait_for(asyncio.shield(asked), QUERY_S + CONNECT_S)
        except TimeoutError:
            raise FeedTrouble(f"the query gave no answer within {QUERY_S + CONNECT_S} s") from None
        except SQLAlchemyError as wrong:
            raise FeedTrouble(words_of(wrong)) from wrong
        except (NoDatabase, BadValue, TooMuch) as wrong:
            raise FeedTrouble(str(wrong)) from wrong
        yield Page(rows)

    def _answered(self, asked: asyncio.Future[list[Any]]) -> None:
        self._is_asking = False
        if not asked.cancelled():
            asked.exception()  # it was told, or nobody waits for it any more

    def _rows(self, account: Connection, cursor: Any) -> list[Any]:
        """Runs in the thread."""
        limits = self._around.limits
        values = {"cursor": cursor} if self._asks.takes_cursor else {}
        with transaction(account, writes=False, timeout_s=QUERY_S) as database:
            return query_rows(
                database,
                text(self._asks.query),
                values,
                most=limits.poll_rows,
                most_bytes=limits.poll_bytes,
                more="limit poll_rows: add `order by` the cursor and a `limit`",
                bytes_limit="limit poll_bytes: add `order by` the cursor and a `limit`",
            )
