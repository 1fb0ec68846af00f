"""No run is stuck, lost or done twice: real workers and servers, which are killed, emptied and restarted meanwhile.

No test waits for a lease or a grace time to pass: the rows are made as old as they would be then.
"""

import os
from pathlib import Path

import pytest
from sqlalchemy import func, select

from app.clients.redis import create_redis
from app.clients.storage.object_store import ObjectStore
from app.db import unit_of_work
from app.enums import RunStatus
from app.models import Run, Task
from tests.support.callers import CallerKind, make_caller
from tests.support.deployment.own_servers import OwnServers
from tests.support.deployment.processes import free_port, service_process, wait_until_ready
from tests.support.deployment.site import Site, read_log
from tests.support.factories import make_task
from tests.support.stand_ins.outage import interruptible
from tests.support.waiting import eventually
from tests.support.web.clients import socket_client

# Among so many runs a worker is killed each time that a few more are over, which is every few seconds.
KILLED = int(os.environ.get("TASKBEACON_TEST_CHAOS_RUNS", "200"))
KILL_EVERY = 10
EMPTIED = 100

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]


async def test_killed_workers_lose_no_run_and_no_run_is_done_twice(site: Site, store: ObjectStore) -> None:
    await site.queue_runs(KILLED, "```sh\nsleep 0.3\n```\n```say\ndone\n```")
    workers = [site.start_worker(), site.start_worker()]

    held = 0
    for over in range(KILL_EVERY // 2, KILLED - KILL_EVERY, KILL_EVERY):
        await site.wait_until_over(over)
        victim = workers.pop(0)
        victim.kill()
        held += await site.let_leases_lapse(victim)
        await site.let_the_grace_pass()
        workers.append(site.start_worker())
    await site.wait_until_over(KILLED)

    runs = await site.rows()
    lost = [run for run in runs if run.status == RunStatus.FAILED]
    again = [run for run in runs if run.attempts > 1]
    assert len(runs) == KILLED
    assert len(lost) + sum(run.attempts - 1 for run in again) == held > 0
    for run in lost:
        assert "worker" in (run.error_message or "")
        assert run.facts["recovery"]["decision"] == "failed"
    for run in runs:
        if run not in lost:
            assert (run.status, run.error_message) == (RunStatus.COMPLETED, None)
            # The agent is started once in the whole life of a run; otherwise its work was done twice.
            assert (await read_log(store, run)).count("Starting the agent") == 1


async def test_emptied_redis_loses_no_run(site: Site) -> None:
    """Agents that are not installed: what counts is that each run is taken up, and once."""
    await site.queue_runs(EMPTIED, "Hello", runtime_adapter="codex", model="gpt-5.5")
    redis = create_redis(site.settings.redis_url)
    await redis.flushall()
    await redis.aclose()
    await site.let_the_grace_pass()

    site.start_worker(PATH="/usr/bin:/bin")
    await site.wait_until_over(EMPTIED)

    runs = await site.rows()
    assert {(run.status, run.attempts) for run in runs} == {(RunStatus.FAILED, 1)}
    assert all("npm install" in (run.error_message or "") for run in runs)


async def test_run_asked_for_while_redis_is_down_is_performed_when_it_is_back(
    site: Site, servers: OwnServers, tmp_path: Path
) -> None:
    async with unit_of_work(site.sessions) as session:
        caller = await make_caller(session, CallerKind.OWNER, project=site.project, owner=site.owner)
        task = await make_task(
            session, project=site.project, created_by=site.owner, description="```say\nhi\n```"
        )
    port = free_port()
    with service_process(f"serve --port {port}", settings=site.settings, log=tmp_path / "api.log") as api:
        async with socket_client(base_url=f"http://127.0.0.1:{port}", headers=caller.headers) as client:
            await wait_until_ready(client, api)
            worker = site.start_worker()

            await eventually(lambda: "worker.started" in worker.log.read_text(), within_seconds=600)
            servers.valkey.stop()
            answer = await client.post(f"/api/projects/{site.project.id}/tasks/{task.id}/run", timeout=30)
            servers.valkey.start()

    assert answer.status_code == 200, answer.text
    assert answer.json()["latest_run"]["status"] == "queued"
    await site.let_the_grace_pass()
    await site.wait_until_over(1)
    [run] = await site.rows()
    assert (run.status, run.attempts) == (RunStatus.COMPLETED, 1), run.error_message


async def test_restart_of_the_database_fails_no_run(site: Site, servers: OwnServers, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    await site.queue_runs(2, f"```sh\nwhile [ ! -e {go_on} ]; do sleep 0.05; done\n```\n```say\ndone\n```")
    site.start_worker()
    await site.wait_until_agents_work(2)

    servers.postgres.stop()
    go_on.touch()
    servers.postgres.start()
    await site.wait_until_over(2)

    runs = await site.rows()
    assert {(run.status, run.attempts, run.error_message) for run in runs} == {(RunStatus.COMPLETED, 1, None)}


async def test_log_written_while_the_object_store_is_away_is_complete_when_it_is_back(
    site: Site, store: ObjectStore, tmp_path: Path
) -> None:
    go_on, done = tmp_path / "go-on", tmp_path / "done"
    steps = f"```say\nbefore\n```\n```sh\nwhile [ ! -e {go_on} ]; do sleep 0.05; done; touch {done}\n```\n"
    async with interruptible(site.settings.s3_endpoint_url or "") as between:
        [run] = await site.queue_runs(1, steps + "```say\nafter\n```")
        site.start_worker(TASKBEACON_S3_ENDPOINT_URL=between.url)
        await site.wait_until_agents_work(1)
        await between.refuse()
        go_on.touch()

        await eventually(done.exists)
        await between.resume()
        await site.wait_until_over(1)

    [run] = await site.rows()
    assert (run.status, run.error_message) == (RunStatus.COMPLETED, None)
    log = await read_log(store, run)
    assert log.count('"before"') == log.count('"after"') == 1
    assert '"done"' not in log


async def test_every_run_updates_the_status_of_its_task(site: Site) -> None:
    """The copy of the status in the tasks of this database, whatever was killed above."""
    async with unit_of_work(site.sessions) as session:
        differing = (
            select(func.count())
            .select_from(Task)
            .join(Run, Run.id == Task.latest_run_id)
            .where(Run.status != Task.latest_run_status)
        )
        assert await session.scalar(differing) == 0
