"""People who start runs and follow them to their ends, one after the other, whatever becomes of the servers."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from app.clients.storage.object_store import ObjectStore
from taskbeacon.client import AsyncClient, End, Event, Gap
from tests.support.deployment.ledger import stored_log
from tests.support.deployment.site import Site, work
from tests.support.waiting import eventually

_RETRIES = 8


@dataclass(slots=True)
class Seen:
    """What a follower of a run was sent."""

    entries: list[bytes] = field(default_factory=list)
    gaps: int = 0
    status: str = ""


class Load:
    """Runs that people have started through the API at a URL, and what they saw of them."""

    def __init__(
        self, site: Site, url: str, token: str, *, script: str = "sleep 0.3", asks_every: int = sys.maxsize
    ) -> None:
        """Have one of `asks_every` runs ask a question, and wait for messages until it is closed."""
        self._site = site
        self._url = url
        self._token = token
        self._script = script
        self._asks_every = asks_every
        self.seen: dict[UUID, Seen] = {}
        # How often the end of a run came in the stream of the project's events.
        self.ends: Counter[UUID] = Counter()
        # Set it to have people start no more runs.
        self.is_enough = asyncio.Event()

    @property
    def over(self) -> int:
        """How many runs have ended before the eyes of their followers."""
        return sum(bool(seen.status) for seen in self.seen.values())

    async def wait_until_over(self, count: int) -> None:
        """Wait until this many runs have ended before the eyes of their followers."""

        await eventually(lambda: self.over >= count, within_seconds=600)

    async def people(self, count: int, *, runs: int = sys.maxsize) -> None:
        """Have so many people start and follow this number of runs each, while one more watches the whole project.

        They stop earlier if `is_enough` is set.
        """
        is_watching = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch(is_watching.set))
            await is_watching.wait()
            working = [group.create_task(self._person(runs)) for _ in range(count)]
            await asyncio.wait(working)
            await eventually(lambda: self.ends.total() >= len(self.seen))
            watching.cancel()

    async def _watch(self, is_watching: Callable[[], None]) -> None:
        async with self.client() as client:
            async for item in client.events.stream(connected=is_watching):
                if isinstance(item, Event) and item.type in {"run.completed", "run.failed"}:
                    self.ends[UUID(item.data["data"]["run_id"])] += 1

    def client(self) -> AsyncClient:
        """Return a client that bears as much as people do."""
        return AsyncClient(self._url, self._token, self._site.project.id, timeout=60, retries=_RETRIES)

    async def _person(self, runs: int) -> None:
        async with self.client() as client:
            for number in range(1, runs + 1):
                if self.is_enough.is_set():
                    return
                asks = number % self._asks_every == 0
                steps = "```ask options=yes,no\nGo on?\n```\n" if asks else ""
                task = await client.tasks.create(
                    title=f"Task {number}", description=steps + work(script=self._script)
                )
                started = await client.tasks.run(task, mode="interactive" if asks else "background")
                await self._follow(client, started["latest_run"])

    async def _follow(self, client: AsyncClient, run: Any) -> None:
        # From its acceptance on: it must not be lost even if nobody ever sees anything of it.
        seen = self.seen[UUID(run["id"])] = Seen()
        async for item in client.runs.follow(run):
            match item:
                case Event(data={"type": "task_run_state"}):
                    pass
                case Event(data=data):
                    seen.entries.append(_canonical(data))
                case Gap():
                    seen.gaps += 1
                case End(status=status):
                    seen.status = status
                case _:
                    pass

    async def require_whole(self, store: ObjectStore) -> int:
        """Fail if a follower lacks a line of its run's log and was not told so; return the number of those told.

        Fail too if the end of a run came not once in the stream of the project's events.
        """
        assert self.ends == Counter(self.seen.keys())
        for run in await self._site.rows():
            seen = self.seen[run.id]
            assert seen.status == run.status, (run.id, seen.status, run.status)
            if seen.gaps:
                continue
            log = Counter(_canonical(orjson.loads(line)) for line in await stored_log(self._site, store, run))
            # Followers also get what no log keeps.
            got = Counter(entry for entry in seen.entries if entry in log)
            assert got == log, (run.id, log - got, got - log)
        return sum(bool(seen.gaps) for seen in self.seen.values())


def _canonical(data: object) -> bytes:
    return orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
