"""Reading bodies: the time that a client has for sending one, and an error that each read raises again."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from starlette.types import Message

from app.api_limits import BODY_BYTES_PER_SECOND
from app.errors import MalformedBody, RequestTimeout
from app.web.body import read_bytes, read_json
from app.web.errors import install_error_handlers
from tests.support.web.clients import in_process_client

pytestmark = pytest.mark.walls

PATIENCE = 0.05


def sent(receive: Callable[[], Awaitable[Message]]) -> Request:
    return Request({"type": "http", "method": "POST", "headers": []}, receive)


async def test_body_that_does_not_come_is_given_up() -> None:
    """Clients that send half a body were waited for without end."""

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(RequestTimeout):
        await read_bytes(sent(receive), seconds=PATIENCE)


@pytest.fixture
async def blocked() -> AsyncGenerator[asyncio.Future[Any], None]:
    """A future that is never done."""
    blocked = asyncio.ensure_future(asyncio.Event().wait())
    yield blocked
    blocked.cancel()


async def test_time_runs_on_while_it_trickles(blocked: asyncio.Future[Any]) -> None:
    async def receive() -> Message:
        # Slower than what gives time for more, on any machine.
        await asyncio.wait([blocked], timeout=PATIENCE / 5)
        return {"type": "http.request", "body": b"x", "more_body": True}

    with pytest.raises(RequestTimeout):
        await read_bytes(sent(receive), seconds=PATIENCE)


async def test_what_has_come_gives_time_for_more(blocked: asyncio.Future[Any]) -> None:
    size = 60 * BODY_BYTES_PER_SECOND
    has_begun = False

    async def receive() -> Message:
        nonlocal has_begun
        if not has_begun:
            # At once: however long the machine stands still, the time for this one is not over.
            has_begun = True
            return {"type": "http.request", "body": b"x" * size, "more_body": True}
        await asyncio.wait([blocked], timeout=2 * PATIENCE)
        return {"type": "http.request", "body": b"", "more_body": False}

    assert len(await read_bytes(sent(receive), seconds=PATIENCE)) == size


async def test_answer_closes_the_connection() -> None:
    application = FastAPI()
    install_error_handlers(application)

    @application.post("/")
    async def refuse() -> Response:
        raise RequestTimeout

    async with in_process_client(application) as client:
        answer = await client.post("/")
    assert (answer.status_code, answer.headers["connection"]) == (408, "close")
    assert answer.json() == {
        "type": "invalid_request",
        "code": "request_timeout",
        "detail": "The request took too long to arrive.",
        "attr": None,
    }


async def test_each_read_raises_an_error_of_its_own() -> None:
    """One error was raised at every read, and gathered the frames of all of them."""

    async def receive() -> Message:
        return {"type": "http.request", "body": b"{"}

    request = sent(receive)
    request.scope["headers"] = [(b"content-type", b"application/json")]
    errors = []
    for _ in range(2):
        with pytest.raises(MalformedBody) as caught:
            await read_json(request)
        errors.append(caught.value)

    first, second = errors
    assert first is not second
    assert first.body == second.body
