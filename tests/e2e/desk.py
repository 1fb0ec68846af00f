"""A member of a project, who has runs performed by processes of the service, for tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from app.ids import new_hex_id
from tests.fixtures.worker import Repositories
from tests.support.stand_ins.push import PushService
from tests.support.waiting import eventually

JSON = dict[str, Any]

FINISHED = "verification.finished"
_ENDS = ("run.completed", "run.failed", "run.cancelled")


def put(path: str, text: str) -> str:
    return f"```file path={path}\n{text}\n```\n"


def do(script: str) -> str:
    return f"```sh\n{script}\n```\n"


async def wait_for_run(client: httpx.AsyncClient, task_id: str, *statuses: str) -> dict[str, Any]:
    """Return the task's latest run once its status is one of `statuses`."""
    run: dict[str, Any] = {}

    async def reached() -> bool:
        nonlocal run
        run = (await client.get(f"/{task_id}")).json()["latest_run"]
        return run["status"] in statuses

    await eventually(reached)
    return run


@dataclass(frozen=True, slots=True)
class Desk:
    """A member of a project with a phone, who has runs performed, and reads what comes of them."""

    client: httpx.AsyncClient
    project: str
    repositories: Repositories
    phones: PushService

    async def start(self, work: str, repository: str, run: JSON | None = None, **task: Any) -> JSON:
        """Create a task and start its run, which the answer is."""
        asked = {"title": "Change it", "description": work, "repository": repository}
        made = await self.client.post("", json={**asked, **task})
        assert made.status_code == 201, made.text
        started = await self.client.post(f"/{made.json()['id']}/run", json=run or {})
        assert started.status_code == 200, started.text
        latest: JSON = started.json()["latest_run"]
        return latest

    async def ended(self, run: JSON) -> JSON:
        """Return the run when it is over."""
        # Its stream closes then. Asking for the run again and again takes the processors that it needs.
        async with self.client.stream("GET", f"/{run['task']}/runs/{run['id']}/stream") as entries:
            assert entries.is_success, entries.status_code
            async for _ in entries.aiter_bytes():
                pass
        return await wait_for_run(self.client, run["task"], "completed", "failed", "cancelled")

    async def perform(
        self, work: str, files: Mapping[str, str], run: JSON | None = None, **task: Any
    ) -> JSON:
        """Have a run performed in a new repository with these files; return it when it is over."""
        repository = f"acme/{new_hex_id()}"
        self.repositories.create(repository, dict(files))
        return await self.ended(await self.start(work, repository, run, **task))

    async def events(self, run: JSON, type_: str = "*") -> list[tuple[str, JSON]]:
        asked = await self.client.get(f"{self.project}/events", params={"run_id": run["id"], "type": type_})
        return [(each["type"], each["data"]) for each in asked.json()["results"]]

    async def ends(self, run: JSON) -> list[tuple[str, str | None]]:
        """Return the events about the end of a run and of its verification, with their verdicts."""

        async def is_over() -> bool:
            # An event appears when every transaction that began before it has ended.
            return any(type_ in _ENDS for type_, _ in await self.events(run))

        await eventually(is_over)
        events = await self.events(run)
        return [(type_, data.get("verdict")) for type_, data in events if type_ in {*_ENDS, FINISHED}]

    async def pushes(self, run: JSON) -> list[str]:
        """Return what the phone has shown of a run, once it has."""

        def received() -> list[str]:
            return [each["body"] for each in self.phones.received if each["data"]["taskRunId"] == run["id"]]

        await eventually(received)
        return received()

    async def attempts(self, run: JSON) -> list[JSON]:
        asked = await self.client.get(f"/{run['task']}/runs/{run['id']}/verification")
        results: list[JSON] = asked.json()["results"]
        return results

    async def delivered(self, run: JSON, path: str) -> str:
        """Return a file of the branch that a run has pushed."""
        task = (await self.client.get(f"/{run['task']}")).json()
        return self.repositories.show(task["repository"], f"{run['output']['head_branch']}:{path}")

    async def file(self, run: JSON, artifact_id: str) -> str:
        url = f"/{run['task']}/runs/{run['id']}/artifacts/{artifact_id}/download"
        return (await self.client.get(url, follow_redirects=True)).raise_for_status().text
