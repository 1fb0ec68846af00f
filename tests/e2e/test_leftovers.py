"""Files that a killed worker left: all in one place, and removed when the next worker starts."""

import httpx

from tests.e2e.conftest import Service
from tests.e2e.desk import wait_for_run
from tests.e2e.test_processes import start_run
from tests.support.deployment.processes import ServiceProcess
from tests.support.waiting import eventually


async def test_files_and_log_of_a_killed_worker_are_removed_by_the_next(
    client: httpx.AsyncClient, service: Service, worker: ServiceProcess
) -> None:
    task_id = await start_run(client, "```sh\ntail -f /dev/null\n```")

    async def agent_works() -> bool:
        return "agent_started_at" in (await client.get(f"/{task_id}")).json()["latest_run"]["state"]

    await eventually(agent_works)
    worker.kill()
    await wait_for_run(client, task_id, "in_progress")
    assert len(list(service.workspaces.glob("*/log.jsonl"))) == 1
    assert list(service.temporary.iterdir()) == []

    following = service.worker()

    await eventually(lambda: "worker.started" in following.log.read_text())
    await eventually(lambda: list(service.workspaces.iterdir()) == [])
