"""Middleware of every request: its id, its log line, its metrics, and clients that go away."""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from app.web.middleware import ObservabilityMiddleware, SameAnswerMiddleware


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """Return the events that were logged, as an operator gets them."""
    caplog.set_level(logging.DEBUG, logger="app")
    return lambda: [
        json.loads(record.getMessage()) for record in caplog.records if record.name.startswith("app.")
    ]


Events = Callable[[], list[dict[str, Any]]]


async def call(app: Any, scope: dict[str, Any], messages: Sequence[Message]) -> list[Message]:
    """Send a request of these messages and return what comes back."""
    waiting = iter(messages)
    sent: list[Message] = []

    async def receive() -> Message:
        return next(waiting, {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        sent.append(message)

    whole = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [],
    }
    await app(whole | scope, receive, send)
    return sent


class Application:
    """Sends these messages, then fails if it is to; keeps what it was asked."""

    def __init__(self, *messages: Message, fails: type[BaseException] | None = None) -> None:
        self.messages = messages
        self.fails = fails
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        for message in self.messages:
            await send(message)
        if self.fails:
            raise self.fails("planted")


class TestRequestId:
    @pytest.mark.parametrize("given", ["abc", "A-1_b.c", "x" * 64])
    async def test_of_a_proxy_is_taken_over(
        self, anonymous: httpx.AsyncClient, logged: Events, tasks_url: str, given: str
    ) -> None:
        response = await anonymous.get(tasks_url, headers={"X-Request-Id": given})
        assert response.headers["x-request-id"] == given
        assert logged()[-1]["request_id"] == given

    @pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", 'a"b', "é"])
    async def test_that_could_forge_a_log_line_is_replaced(
        self, anonymous: httpx.AsyncClient, given: str
    ) -> None:
        response = await anonymous.get("/livez", headers=[(b"X-Request-Id", given.encode("latin-1"))])
        made = response.headers["x-request-id"]
        assert made != given
        assert len(made) == 32

    async def test_is_new_for_every_request(self, anonymous: httpx.AsyncClient) -> None:
        made = {(await anonymous.get("/livez")).headers["x-request-id"] for _ in range(3)}
        assert len(made) == 3


class TestLog:
    async def test_names_method_path_status_and_duration(
        self, client: httpx.AsyncClient, logged: Events, tasks_url: str
    ) -> None:
        await client.get(f"{tasks_url}?search=private")
        event = logged()[-1]
        assert event["event"] == "http.request"
        assert (event["method"], event["path"], event["status"]) == ("GET", tasks_url, 200)
        assert event["milliseconds"] > 0
        assert "private" not in json.dumps(event)

    @pytest.mark.parametrize("path", ["/livez", "/metrics", "/readyz"])
    async def test_is_quiet_about_what_machines_ask_all_day(
        self, anonymous: httpx.AsyncClient, logged: Events, path: str
    ) -> None:
        await anonymous.get(path)
        assert [event for event in logged() if event["event"] == "http.request"] == []

    async def test_expected_failure_is_not_logged_as_an_error(
        self, client: httpx.AsyncClient, logged: Events, tasks_url: str
    ) -> None:
        await client.post(tasks_url, json={"archived": "maybe"})
        assert {event["level"] for event in logged()} == {"info"}

    async def test_ids_of_one_request_do_not_leak_into_the_next(
        self, anonymous: httpx.AsyncClient, logged: Events, tasks_url: str
    ) -> None:
        await anonymous.get(tasks_url, headers={"X-Request-Id": "first"})
        await anonymous.get(tasks_url, headers={"X-Request-Id": "second"})
        assert [event["request_id"] for event in logged()] == ["first", "second"]


class TestBrokenAnswer:
    async def test_failure_after_the_start_breaks_off_visibly(self, logged: Events) -> None:
        """A client must not take half an answer for a whole one."""
        app = Application({"type": "http.response.start", "status": 200, "headers": []}, fails=RuntimeError)
        with pytest.raises(RuntimeError, match="planted"):
            await call(ObservabilityMiddleware(app), {}, [])
        assert "http.unexpected_error" in [event["event"] for event in logged()]

    async def test_failure_before_the_start_becomes_the_envelope(self) -> None:
        start, body = await call(ObservabilityMiddleware(Application(fails=RuntimeError)), {}, [])
        assert start["status"] == 500
        assert json.loads(body["body"]) == {
            "type": "server_error",
            "code": "error",
            "detail": "A server error occurred.",
            "attr": None,
        }


async def test_client_that_disconnects_while_sending_is_not_logged_as_an_error(
    application: FastAPI, logged: Events, tasks_url: str
) -> None:
    """Telephones do so all day: no operator need be woken for it."""
    scope = {
        "method": "POST",
        "path": tasks_url,
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"1000")],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("testserver", 80),
    }
    half: list[Message] = [{"type": "http.request", "body": b'{"title": ', "more_body": True}]
    await call(application, scope, half)
    assert [(event["event"], event["status"], event["level"]) for event in logged()] == [
        ("http.request", 499, "info")
    ]


@pytest.mark.parametrize(
    ("messages", "status"),
    [([], 499), ([{"type": "http.response.start", "status": 200, "headers": []}], 200)],
    ids=["before the answer", "in it"],
)
async def test_request_that_is_cancelled_is_no_answer_of_status_0(
    logged: Events, messages: list[Message], status: int
) -> None:
    app = Application(*messages, fails=asyncio.CancelledError)
    with pytest.raises(asyncio.CancelledError):
        await call(ObservabilityMiddleware(app), {}, [])
    assert [(event["event"], event["status"]) for event in logged()] == [("http.request", status)]


class TestTrailingSlash:
    @pytest.mark.parametrize(
        ("path", "seen"), [("/", "/"), ("/a", "/a"), ("/a/", "/a"), ("/a//", "/a/"), ("//", "/")]
    )
    async def test_one_slash_is_taken_off(self, path: str, seen: str) -> None:
        app = Application()
        await call(SameAnswerMiddleware(app), {"path": path}, [])
        assert app.scopes[0]["path"] == seen


@pytest.mark.parametrize("middleware", [SameAnswerMiddleware, ObservabilityMiddleware])
async def test_other_scopes_than_requests_pass_untouched(middleware: Any) -> None:
    """Other scopes of ASGI, such as the start and end of the process."""
    app = Application()
    await call(middleware(app), {"type": "lifespan"}, [])
    assert app.scopes[0]["type"] == "lifespan"


async def test_head_keeps_status_and_headers_and_drops_every_part_of_the_body() -> None:
    headers = [(b"content-length", b"10")]
    app = Application(
        {"type": "http.response.start", "status": 200, "headers": headers},
        {"type": "http.response.body", "body": b"hello", "more_body": True},
        {"type": "http.response.body", "body": b"world"},
    )
    start, *parts = await call(SameAnswerMiddleware(app), {"method": "HEAD"}, [])
    assert (start["status"], start["headers"]) == (200, headers)
    assert [part["body"] for part in parts] == [b"", b""]
