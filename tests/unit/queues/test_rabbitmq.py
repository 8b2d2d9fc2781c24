"""What a quorum queue does not take yet is sent again; everything else is told at once."""

from __future__ import annotations

from typing import Any

import pytest
from aio_pika.exceptions import DeliveryError, PublishError

from beltline.queues import rabbitmq
from beltline.queues.rabbitmq import RabbitPost
from beltline.sdk import ClientFailed

# Neither has what its message needs: only what kind of error it is counts here.
RETURNED = PublishError.__new__(PublishError)


class Refusing(RabbitPost):
    """A line whose broker refuses a number of messages."""

    def __init__(self, times: int, cause: BaseException | None) -> None:
        self.times, self.cause, self.tries = times, cause, 0

    async def publish(self, *given: Any, **more: Any) -> None:
        self.tries += 1
        if self.tries <= self.times:
            raise ClientFailed("refused") from self.cause


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rabbitmq, "NOT_READY_S", (0.001, 0.001, 0))


def nack() -> DeliveryError:
    return DeliveryError.__new__(DeliveryError)


async def test_a_queue_that_was_just_made_is_asked_again() -> None:
    line = Refusing(2, nack())
    await line.send("place", b"", id="1")
    assert line.tries == 3


async def test_it_is_asked_so_often_and_no_more() -> None:
    line = Refusing(9, nack())
    with pytest.raises(ClientFailed, match="refused"):
        await line.send("place", b"", id="1")
    assert line.tries == 3


@pytest.mark.parametrize("cause", [RETURNED, OSError("gone"), None])
async def test_anything_else_is_told_at_once(cause: BaseException | None) -> None:
    line = Refusing(1, cause)
    with pytest.raises(ClientFailed, match="refused"):
        await line.send("place", b"", id="1")
    assert line.tries == 1
