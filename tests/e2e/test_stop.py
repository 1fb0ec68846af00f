"""The stop of API and worker, with work and streams in progress. Last of this folder: its tests share the two."""

import json

import httpx

from app.ids import new_id
from tests.e2e.conftest import Api
from tests.e2e.desk import wait_for_run
from tests.e2e.test_processes import start_run
from tests.support.deployment.processes import ServiceProcess
from tests.support.marked import processes_with
from tests.support.waiting import eventually
from tests.support.web.streams import following


async def test_stop_ends_agents_and_streams_and_gives_runs_back(
    client: httpx.AsyncClient, api: Api, worker: ServiceProcess
) -> None:
    mark = f"stopped-{new_id()}"
    task_id = await start_run(client, f"```bash\nexec -a {mark} sleep 86400\n```")

    await eventually(lambda: processes_with(f"{mark}\0"))
    assert "server" not in (await client.get(f"/{task_id}")).headers

    assert await worker.stop() == 0

    run = await wait_for_run(client, task_id, "queued")
    assert "agent_started_at" not in run["state"]
    assert not processes_with(mark)
    path = f"/{task_id}/runs/{run['id']}"
    async with following(client, path, start="latest") as one, following(client, path) as two:
        await two.take(1)
        api.process.ask_to_stop()
        assert [event.data["status"] for event in await two.rest() if "status" in event.data][-1:] == [
            "queued"
        ]
        assert await one.rest() == []
    assert await api.process.stop() == 0
    logged = api.process.log.read_text()
    assert "exceeded" not in logged
    assert any(json.loads(line)["event"] == "Application shutdown complete." for line in logged.splitlines())
