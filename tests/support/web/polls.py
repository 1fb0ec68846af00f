"""Conditional requests, and a client that keeps answers."""

from collections.abc import Sequence
from typing import Any

import httpx

from tests.support.assertions import concerning


async def poll(client: httpx.AsyncClient, url: str, tags: str) -> httpx.Response:
    """Ask for what is at a URL, unless the client has it by one of these tags."""
    return await client.get(url, headers={"If-None-Match": tags})


class Poller:
    """A client that keeps the last answer of each URL."""

    def __init__(self, client: httpx.AsyncClient, urls: Sequence[str]) -> None:
        self._client = client
        self.kept: dict[str, Any] = dict.fromkeys(urls)
        self._tags = dict.fromkeys(urls, "")

    async def ask(self, url: str) -> bool:
        """Ask for a URL, and return whether the client has had the answer already."""
        response = await poll(self._client, url, self._tags[url])
        if response.status_code == 304:
            return True
        assert response.status_code == 200, response.text
        self.kept[url], self._tags[url] = response.json(), response.headers["etag"]
        return False

    async def check(self) -> int:
        """Ask for all URLs, and compare each answer with the whole one; return how many the client has had already."""
        had = 0
        for url in self.kept:
            had += await self.ask(url)
            with concerning(url):
                assert (await self._client.get(url)).json() == self.kept[url]
        return had
