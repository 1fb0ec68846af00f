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


def message(title: str, to: str = TOKEN, **data: Any) -> dict[str, Any]:
    return {"to": to, "title": title, "body": "b", "data": data}


async def test_each_message_gets_a_ticket_and_a_receipt(sink: httpx.AsyncClient) -> None:
    messages = [message("Done"), message("Done", to="ExpoPushToken[x]")]

    tickets = (await sink.post(SEND, json=messages)).json()["data"]
    ids = [ticket["id"] for ticket in tickets]
    receipts = (await sink.post(RECEIPTS, json={"ids": [*ids, "unknown"]})).json()["data"]

    assert [ticket["status"] for ticket in tickets] == ["ok"] * 2
    assert receipts == {id_: {"status": "ok"} for id_ in ids}


async def test_invalid_token_gets_an_error_ticket(sink: httpx.AsyncClient) -> None:
    answer = await sink.post(SEND, json=[message("Done", to="nonsense"), message("Done")])

    assert [ticket["status"] for ticket in answer.json()["data"]] == ["error", "ok"]
    assert answer.json()["data"][0]["details"]["error"] == "DeviceNotRegistered"


async def test_page_shows_messages_newest_first_and_escaped(sink: httpx.AsyncClient) -> None:
    await sink.post(SEND, json=[message("older"), message("<newer>", taskId="7")])

    page = (await sink.get("/")).text

    assert page.index("&lt;newer&gt;") < page.index("older")
    assert "<newer>" not in page
    assert "taskId" in page


async def test_page_links_buttons_to_the_api_and_shows_no_token(sink: httpx.AsyncClient) -> None:
    button = {"id": "allow", "title": "<Allow>", "token": 'a"/../<b>?c'}
    await sink.post(SEND, json=[message("Asks", taskId="7", actions=[button])])

    page = (await sink.get("/")).text

    assert '<a href="http://api/a/a%22%2F..%2F%3Cb%3E%3Fc" rel="noreferrer">&lt;Allow&gt;</a>' in page
    assert "<td>{&quot;taskId&quot;: &quot;7&quot;}</td>" in page
    assert "in memory only" in page


async def test_message_that_is_compressed_is_taken_and_read_back_whole(sink: httpx.AsyncClient) -> None:
    """Expo takes gzip; senders compress the message of a question, because its tokens are long."""
    sent = message("Asks", actions=[{"id": "allow", "title": "Allow", "token": "t" * 3_000}])

    answer = await sink.post(
        SEND, content=gzip.compress(json.dumps([sent]).encode()), headers={"Content-Encoding": "gzip"}
    )

    assert answer.json()["data"][0]["status"] == "ok"
    (push,) = (await sink.get("/pushes")).json()
    assert (push["to"], push["title"], push["data"]) == (TOKEN, "Asks", sent["data"])


@pytest.mark.parametrize("body", ['{"type": "run.completed", "data": {"title": "<b>"}}', "no JSON <b>"])
async def test_webhooks_are_taken_shown_and_read_back(sink: httpx.AsyncClient, body: str) -> None:
    taken = await sink.post("/webhooks", content=body, headers={"webhook-id": "one"})

    assert taken.status_code == 204
    (received,) = (await sink.get("/webhooks")).json()
    assert received["body"] == body
    assert received["headers"]["webhook-id"] == "one"
    page = (await sink.get("/")).text
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
