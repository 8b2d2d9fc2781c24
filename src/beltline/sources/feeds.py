"""Which feed looks for a source: by the way that its file says.

A kind that needs a library of its own imports it when its first feed is made, so that a hub
without such sources runs without it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

from beltline.definition.bitrix24 import Bitrix24Way
from beltline.definition.files import S3, FilesWay, Sftp
from beltline.definition.mail import MailWay
from beltline.definition.poll import HttpPoll, PollWay, SqlPoll
from beltline.definition.queue import QueueWay
from beltline.definition.schedule import ScheduleWay
from beltline.definition.source import Source
from beltline.sources.bitrix24.feed import Bitrix24Feed
from beltline.sources.bitrix24.listing import Listing
from beltline.sources.bitrix24.rings import Rings
from beltline.sources.door import Door, Feed, FeedTrouble
from beltline.sources.files.feed import FilesFeed
from beltline.sources.files.folder import LocalFolder
from beltline.sources.poll.feed import PollFeed
from beltline.sources.poll.http import HttpQuestion
from beltline.sources.queue.making import PACKAGES, queue_feed
from beltline.sources.rounds import Rounds
from beltline.sources.schedule import ScheduleFeed
from beltline.sources.surroundings import Surroundings


def _reads(broker: str, source: Source) -> bool:
    return isinstance(source.way, QueueWay) and source.way.queue.broker == broker


# What a way needs beside the hub: the name of a Python package, and the extra that brings it.
_EXTRAS: tuple[tuple[Callable[[Source], bool], str, str], ...] = (
    (lambda one: isinstance(getattr(one.way, "where", None), Sftp), "asyncssh", "files"),
    (lambda one: isinstance(getattr(one.way, "where", None), S3), "obstore", "files"),
    (lambda one: isinstance(getattr(one.way, "asks", None), SqlPoll), "sqlalchemy", "sql"),
    (lambda one: isinstance(one.way, MailWay), "imap_tools", "mail"),
    *((partial(_reads, broker), package, broker) for broker, package in PACKAGES.items()),
)


def missing_extras(source: Source) -> list[str]:
    """What has to be installed before the source can look, as a command each."""
    return [
        f"pip install beltline[{extra}]"
        for needs, package, extra in _EXTRAS
        if needs(source) and find_spec(package) is None
    ]


def feed_of(source: Source, door: Door, around: Surroundings) -> Feed | None:
    """The feed of a source; None where it waits for senders. Raises `FeedTrouble` where something
    has to be installed first.
    """
    missing = missing_extras(source)
    if missing:
        raise FeedTrouble(f"something is not installed: {'; '.join(missing)}")
    way = source.way
    if isinstance(way, ScheduleWay):
        return ScheduleFeed(way, door, around.clock, around.new_bell(), around.wake_runs)
    if isinstance(way, FilesWay):
        return _files(way, door, around)
    if isinstance(way, PollWay):
        return _poll(way, door, around)
    if isinstance(way, Bitrix24Way):
        rings = Rings(door, around.clock, around.new_bell(), way.every_ms)
        return Bitrix24Feed(way, door, around, rings, Listing(way, door, around))
    if isinstance(way, QueueWay):
        return queue_feed(
            way, door, partial(around.account, way.connection), around.limits, node=around.node
        )
    if isinstance(way, MailWay):
        from beltline.sources.mail.feed import MailFeed  # noqa: PLC0415 - an extra

        connect = partial(around.account, way.connection)
        return MailFeed(door, way, connect, around.blobs, around.limits)
    return None


def _rounds(every_ms: int, door: Door, around: Surroundings) -> Rounds:
    return Rounds(door, around.clock, around.new_bell(), every_ms)


def _files(way: FilesWay, door: Door, around: Surroundings) -> Feed:
    rounds = _rounds(way.every_ms, door, around)
    where = way.where
    if isinstance(where, Sftp):
        from beltline.sources.files.sftp import SftpFolder  # noqa: PLC0415 - an extra

        sftp = where
        return FilesFeed(
            way, door, around, rounds, lambda: SftpFolder(sftp, around.account(sftp.connection))
        )
    if isinstance(where, S3):
        from beltline.sources.files.s3 import Bucket  # noqa: PLC0415 - an extra

        s3 = where
        return FilesFeed(
            way, door, around, rounds, lambda: Bucket(s3, around.account(s3.connection))
        )
    path = around.home / where.path
    return FilesFeed(way, door, around, rounds, lambda: LocalFolder(path))


def _poll(way: PollWay, door: Door, around: Surroundings) -> Feed:
    rounds = _rounds(way.every_ms, door, around)
    asks = way.asks
    if isinstance(asks, HttpPoll):
        return PollFeed(asks.asked, door, around, rounds, HttpQuestion(asks, around))
    from beltline.sources.poll.sql import SqlQuestion  # noqa: PLC0415 - an extra

    return PollFeed(asks.asked, door, around, rounds, SqlQuestion(asks, around))
