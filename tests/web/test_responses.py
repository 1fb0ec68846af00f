"""Answers hold no connection of the pool, and large ones a bounded part of the memory."""

import asyncio

import pytest
from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.types import Message, Scope

from app.api_limits import LARGE_RESPONSE_BYTES, RESPONSE_BYTES_AT_ONCE
from app.errors import Unavailable
from app.web.responses import Json, LargeResponses
from tests.support.waiting import next_round

pytestmark = pytest.mark.walls

START: Message = {"type": "http.response.start", "status": 200, "headers": []}
BODY = b"x" * (2 * RESPONSE_BYTES_AT_ONCE + 1)


class Client:
    """Takes the pieces of an answer when it likes to."""

    def __init__(self) -> None:
        self.takes = asyncio.Event()
        self.got: list[Message] = []

    async def send(self, message: Message) -> None:
        await self.takes.wait()
        self.got.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.got)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_large_answer_is_the_same_as_a_small_one(application: FastAPI, method: str) -> None:
    content = {"text": "x" * LARGE_RESPONSE_BYTES}
    got: list[Message] = []

    async def send(message: Message) -> None:
        got.append(message)

    async def receive() -> Message:
        raise AssertionError

    answer = Json(content, status_code=201, headers={"X-A": "b"})
    scope: Scope = {"type": "http", "method": method, "app": application}
    await answer(scope, receive, send)
    body = answer.encode(scope)
    start, *pieces = got
    assert (start["status"], dict(start["headers"])) == (
        201,
        {
            b"x-a": b"b",
            b"content-type": b"application/json",
            b"content-length": str(len(body)).encode(),
        },
    )
    assert b"".join(piece["body"] for piece in pieces) == body
    assert len(pieces) > 1
    assert [piece["more_body"] for piece in pieces] == [True] * (len(pieces) - 1) + [False]


async def test_so_many_are_sent_at_a_time() -> None:
    large = LargeResponses(slots=2)
    clients = [Client() for _ in range(3)]
    sending = [
        asyncio.create_task(large.send(START, BODY, client.send, may_refuse=True)) for client in clients
    ]
    clients[2].takes.set()
    await next_round()
    assert clients[2].got == []

    clients[0].takes.set()
    await asyncio.gather(sending[0], sending[2])
    assert (clients[0].body, clients[2].body) == (BODY, BODY)
    clients[1].takes.set()
    await sending[1]


async def test_who_finds_no_place_may_come_again() -> None:
    large = LargeResponses(slots=1, wait_seconds=0.01)
    slow, other, writer = Client(), Client(), Client()
    sending = asyncio.create_task(large.send(START, BODY, slow.send, may_refuse=True))
    await next_round()
    other.takes.set()
    writer.takes.set()
    with pytest.raises(Unavailable):
        await large.send(START, BODY, other.send, may_refuse=True)
    assert other.got == []
    # Its request has changed something: it hears of it.
    await large.send(START, BODY, writer.send, may_refuse=False)
    assert writer.body == BODY

    slow.takes.set()
    await sending
    await large.send(START, BODY, other.send, may_refuse=True)
    assert other.body == BODY


async def test_client_that_takes_too_long_gives_its_place_back() -> None:
    large = LargeResponses(slots=1, seconds=0.01, bytes_per_second=2**30)
    slow, other = Client(), Client()
    with pytest.raises(ClientDisconnect):
        await large.send(START, BODY, slow.send, may_refuse=True)
    other.takes.set()
    await large.send(START, BODY, other.send, may_refuse=True)
    assert other.body == BODY
