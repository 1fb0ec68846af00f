"""People beside those who start runs: one answers what agents ask, one looks at tasks and lists."""

import asyncio
from contextlib import suppress
from secrets import token_hex
from typing import Any

from app.coroutines.periodic import wait
from taskbeacon.client import AsyncClient, Conflict
from tests.support.deployment.load import Load

_PAUSE_SECONDS = 0.2
# What pages of the console ask for again and again.
_READ = (
    "tasks",
    "tasks?status=completed&search=Task",
    "events?limit=10",
    "/api/users/@me/inbox?status=all",
    "viewers",
    "webhook_endpoints",
    "tasks/repositories",
)


class Visitors:
    """What these people have done so far."""

    def __init__(self, load: Load, device_id: str) -> None:
        self._load = load
        self._device_id = device_id
        self.answered = self.closed = self.looks = 0

    async def answer(self) -> None:
        """Answer every question, and end conversations that wait for a message, until cancelled."""
        async with self._load.client() as client:
            while True:
                async for question in client.questions.list():
                    # It may have ended meanwhile.
                    with suppress(Conflict):
                        await self._answer(client, question)
                await wait(asyncio.Event(), _PAUSE_SECONDS)

    async def _answer(self, client: AsyncClient, question: Any) -> None:
        if question["kind"] == "message":
            run = {"id": question["run"]["id"], "task": question["task"]["id"]}
            await client.perform(client.core.command(run, "close", {}))
            self.closed += 1
        else:
            await client.questions.answer(question, option_id=question["options"][0]["id"])
            self.answered += 1

    async def look(self) -> None:
        """Show a task without runs on a device, and read what the console reads, until cancelled."""
        async with self._load.client() as client:
            task = await client.tasks.create(title="Shown")
            path, body = f"tasks/{task['id']}/presence", {"device_id": self._device_id}
            while True:
                # The proxy closes a connection without an answer if the server that stops behind it did.
                await client.request("POST", path, json=body, request_id=token_hex(16))
                for each in _READ:
                    found = await client.request("GET", each)
                    if each == "viewers":
                        assert found["results"]
                        self.looks += 1
                await wait(asyncio.Event(), _PAUSE_SECONDS)
