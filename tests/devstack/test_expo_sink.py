"""The local push sink answers as Expo does and shows what it was sent."""

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.devstack.expo_sink import create_app

SEND, RECEIPTS = "/--/api/v2/push/send", "/--/api/v2/push/getReceipts"
TOKEN = "ExponentPushToken[abc]"


@pytest.fixture
async def sink() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=create_app("http://api")), base_url="http://sink"
    ) as client:
        yield client


async def test_each_message_gets_a_ticket_and_a_receipt(sink: httpx.AsyncClient) -> None:
    messages = [{"to": TOKEN, "title": "Done"}, {"to": [TOKEN, "ExpoPushToken[x]"], "body": "b"}]

    tickets = (await sink.post(SEND, json=messages)).json()["data"]
    ids = [ticket["id"] for ticket in tickets]
    receipts = (await sink.post(RECEIPTS, json={"ids": [*ids, "unknown"]})).json()["data"]

    assert [ticket["status"] for ticket in tickets] == ["ok"] * 3
    assert receipts == {id_: {"status": "ok"} for id_ in ids}


async def test_single_message_gets_a_single_ticket(sink: httpx.AsyncClient) -> None:
    answer = await sink.post(SEND, json={"to": TOKEN, "body": "hello"})

    assert answer.json()["data"]["status"] == "ok"


async def test_invalid_token_gets_an_error_ticket(sink: httpx.AsyncClient) -> None:
    answer = await sink.post(SEND, json=[{"to": "nonsense"}, {"to": TOKEN}])

    assert [ticket["status"] for ticket in answer.json()["data"]] == ["error", "ok"]
    assert answer.json()["data"][0]["details"]["error"] == "DeviceNotRegistered"


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (SEND, [{"to": TOKEN}] * 101, "PUSH_TOO_MANY_NOTIFICATIONS"),
        (SEND, [], "VALIDATION_ERROR"),
        (SEND, [{"title": "to nobody"}], "VALIDATION_ERROR"),
        (SEND, "text", "VALIDATION_ERROR"),
        (RECEIPTS, {"ids": "one"}, "VALIDATION_ERROR"),
    ],
)
async def test_bad_requests_are_refused(sink: httpx.AsyncClient, path: str, body: Any, code: str) -> None:
    answer = await sink.post(path, json=body)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == code


async def test_page_shows_messages_newest_first_and_escaped(sink: httpx.AsyncClient) -> None:
    await sink.post(SEND, json={"to": TOKEN, "title": "older"})
    await sink.post(SEND, json={"to": TOKEN, "title": "<newer>", "data": {"taskId": "7"}})

    page = (await sink.get("/")).text

    assert page.index("&lt;newer&gt;") < page.index("older")
    assert "<newer>" not in page
    assert "taskId" in page


async def test_page_links_buttons_to_the_api_and_shows_no_token(sink: httpx.AsyncClient) -> None:
    data = {"taskId": "7", "actions": [{"id": "allow", "title": "<Allow>", "token": 'a"/../<b>?c'}]}
    await sink.post(SEND, json={"to": TOKEN, "title": "Asks", "data": data})

    page = (await sink.get("/")).text

    assert '<a href="http://api/a/a%22%2F..%2F%3Cb%3E%3Fc" rel="noreferrer">&lt;Allow&gt;</a>' in page
    assert "<td>{&quot;taskId&quot;: &quot;7&quot;}</td>" in page
    assert "in memory only" in page


@pytest.mark.parametrize("actions", ["text", [1], [{"token": {"<b>": 1}}], {"<b>": "token"}])
async def test_page_shows_buttons_of_any_form_as_data(sink: httpx.AsyncClient, actions: Any) -> None:
    await sink.post(SEND, json={"to": TOKEN, "data": {"actions": actions}})

    page = (await sink.get("/")).text

    assert "&quot;actions&quot;" in page
    assert "<a " not in page
    assert "<b>" not in page


async def test_long_message_that_is_compressed_is_taken_and_read_back_whole(sink: httpx.AsyncClient) -> None:
    """Expo takes gzip; senders compress the message of a question, because its tokens are long."""
    message = {"to": TOKEN, "title": "Asks", "data": {"actions": [{"id": "allow", "token": "t" * 3_000}]}}
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}

    answer = await sink.post(SEND, content=gzip.compress(json.dumps([message]).encode()), headers=headers)

    assert answer.json()["data"][0]["status"] == "ok"
    (push,) = (await sink.get("/pushes")).json()
    assert (push["to"], push["title"], push["data"]) == (TOKEN, "Asks", message["data"])


@pytest.mark.parametrize(
    "body", [b"no gzip", gzip.compress(b"[", mtime=0)[:-9], gzip.compress(b" " * 1_000_000 + b"[]", mtime=0)]
)
async def test_compressed_body_that_cannot_be_read_is_refused(sink: httpx.AsyncClient, body: bytes) -> None:
    answer = await sink.post(SEND, content=body, headers={"Content-Encoding": "gzip"})

    assert answer.status_code == 400


async def test_webhooks_are_taken_shown_and_read_back(sink: httpx.AsyncClient) -> None:
    body = '{"type": "run.completed", "data": {"title": "<b>"}}'

    taken = await sink.post("/webhooks", content=body, headers={"webhook-id": "one"})

    assert taken.status_code == 204
    (message,) = (await sink.get("/webhooks")).json()
    assert message["body"] == body
    assert message["headers"]["webhook-id"] == "one"
    page = (await sink.get("/")).text
    assert "run.completed" in page
    assert "<b>" not in page


@pytest.mark.parametrize("body", [b"\xff", b"[]", b"no JSON"])
async def test_webhook_of_any_form_is_shown(sink: httpx.AsyncClient, body: bytes) -> None:
    assert (await sink.post("/webhooks", content=body)).status_code == 204
    assert (await sink.get("/")).status_code == 200


async def test_webhook_that_is_too_large_is_refused(sink: httpx.AsyncClient) -> None:
    assert (await sink.post("/webhooks", content=b"x" * 1_000_001)).status_code == 413
