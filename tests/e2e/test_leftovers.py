"""What a killed worker had on the disk goes when the next one starts, and lies nowhere else."""

from pathlib import Path

from app.clients.queue import ArqQueue
from app.clock import utcnow
from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.enums import RunStatus
from app.models import Run
from app.services.jobs import enqueue_run
from tests.support.factories import make_project, make_run, make_task, make_user
from tests.support.processes import service_process
from tests.support.waiting import eventually


async def test_files_and_log_of_a_killed_worker_are_removed_by_the_next(
    settings: Settings, sessions: SessionFactory, tmp_path: Path
) -> None:
    temporary, workspaces = tmp_path / "temporary", tmp_path / "workspaces"
    temporary.mkdir()
    async with unit_of_work(sessions) as session:
        project = await make_project(session)
        user = await make_user(session, projects=[project])
        task = await make_task(
            session, project=project, created_by=user, description="```sh\ntail -f /dev/null\n```"
        )
        run = await make_run(session, task=task, dispatch_requested_at=utcnow(), state={"mode": "background"})
    queue = ArqQueue(settings.redis_url)
    await enqueue_run(queue, run.id)
    await queue.aclose()

    async def agent_works() -> bool:
        async with sessions() as session:
            row = await session.get_one(Run, run.id)
        return "agent_started_at" in row.state

    environment = {
        "TASKBEACON_HOME": str(tmp_path / "home"),
        "TASKBEACON_WORKSPACES": str(workspaces),
        "TASKBEACON_AGENT_SANDBOX": "none",
        "TMPDIR": str(temporary),
    }
    with service_process("worker", settings=settings, log=tmp_path / "killed.log", **environment) as killed:
        await eventually(agent_works, within_seconds=60)
        killed.kill()
    async with sessions() as session:
        row = await session.get_one(Run, run.id)
    assert row.status == RunStatus.IN_PROGRESS, row.error_message
    assert len(list(workspaces.glob("*/log.jsonl"))) == 1
    assert list(temporary.iterdir()) == []

    log = tmp_path / "next.log"
    with service_process("worker", settings=settings, log=log, **environment):
        await eventually(lambda: "worker.started" in log.read_text(), within_seconds=60)
        assert list(workspaces.iterdir()) == []
