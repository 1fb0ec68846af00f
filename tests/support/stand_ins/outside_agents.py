"""An agent outside our workers, which sends the events of its run with the run's own token."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson

from tests.support.callers import bearer
from tests.support.web.streams import following

JSON = dict[str, Any]


class Agent:
    """An agent outside our workers that holds a run's token."""

    def __init__(self, client: httpx.AsyncClient, url: str, token: str) -> None:
        self._client = client
        self._url = url
        self.token = token

    async def post(
        self, content: bytes | AsyncIterator[bytes] = b"", url: str | None = None
    ) -> httpx.Response:
        headers = bearer(self.token) | {"Content-Type": "application/x-ndjson"}
        return await self._client.post(f"{url or self._url}/event_stream", content=content, headers=headers)

    async def send(self, *numbers: int) -> int:
        """Send events with these numbers to the run's stream; return the number of the last one that was accepted."""
        response = await self.post(b"".join(line(number) for number in numbers))
        assert response.status_code == 200, response.text
        assert list(response.json()) == ["last_accepted_seq"]
        return int(response.json()["last_accepted_seq"])


def entry(number: int) -> JSON:
    return {"type": "notification", "notification": {"method": "step", "params": {"n": number}}}


def line(number: int, event: Any = None) -> bytes:
    return orjson.dumps({"seq": number, "event": entry(number) if event is None else event}) + b"\n"


async def published(api: httpx.AsyncClient, url: str) -> list[Any]:
    """End the run and return the data of all its stream events, as a follower gets them."""
    assert (await api.patch(url, json={"status": "completed"})).status_code == 200
    async with following(api, url) as stream:
        return [event.data for event in await stream.rest()]
