"""A project with runs that real processes perform, on servers that a test may kill, and look-ups for tests."""

import socket
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import ColumnElement, func, select, update

from app.clients.job_queue import JobQueue
from app.clients.redis import create_redis
from app.clients.storage.object_store import ObjectStore
from app.clients.storage.storage_keys import RunRef
from app.clock import utcnow
from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.enums import TERMINAL_STATUSES, RunStatus
from app.models import Project, Run, User, Verification
from app.outages import DatabaseUnavailable
from app.services.enqueueing import enqueue_run, wake_run_worker_after_commit
from app.services.runs import run_lifecycle
from tests.support.callers import bearer
from tests.support.deployment.processes import ServiceProcess, address_of, service_process, wait_until_ready
from tests.support.factories import make_key, make_run, make_task
from tests.support.stand_ins.fakes import RecordingEvents
from tests.support.waiting import eventually
from tests.support.web.clients import socket_client

# What every run of `work` leaves behind.
ARTIFACT, PATCHED = "report.txt", "a.txt"
_OVER_SECONDS = 600


def work(*, until: Path | None = None, script: str = ":") -> str:
    """Return a runbook that says, changes and hands over something, after a file is there or a script ran."""
    wait = f"while [ ! -e {until} ]; do sleep 0.05; done" if until else script
    return (
        f"```say\nfirst words\n```\n```sh\n{wait}\n```\n```file path={PATCHED}\none\n```\n"
        f"```sh\necho two > .taskbeacon/artifacts/{ARTIFACT}\n```\n```say\nlast words\n```\n"
    )


def let_go_on(file: Path) -> None:
    """Let agents that wait for this file continue."""
    file.touch()


class Site:
    """A project, runs of it that wait, and workers that perform them, each with folders of its own."""

    def __init__(
        self, settings: Settings, sessions: SessionFactory, project: Project, owner: User, folder: Path
    ) -> None:
        self.settings = settings
        self.sessions = sessions
        self.project = project
        self.owner = owner
        self.folder = folder
        self._processes = 0
        self._stack = ExitStack()
        self.workers: list[ServiceProcess] = []
        self.temporary = folder / "temporary"
        self.temporary.mkdir()

    def close(self) -> None:
        """End all workers and APIs of the site."""
        self._stack.close()

    def start_worker(self, program: str | Path = "app.cli", **environment: str) -> ServiceProcess:
        """Start a worker that performs two runs at a time unless a setting says otherwise."""
        self._processes += 1
        name = f"worker{self._processes}"
        variables = {
            "TASKBEACON_HOME": str(self.folder / name),
            "TASKBEACON_WORKER_CONCURRENCY": "2",
            # Confinement is tested elsewhere; here it would only cost time.
            "TASKBEACON_AGENT_SANDBOX": "none",
            "TMPDIR": str(self.temporary),
        } | environment
        worker = self._start("worker", name, program, variables)
        self.workers.append(worker)
        return worker

    def start_api(self, port: int, program: str | Path = "app.cli", **environment: str) -> ServiceProcess:
        """Start an API on a port."""
        self._processes += 1
        return self._start(f"serve --port {port}", f"api{self._processes}", program, environment)

    async def key(self) -> str:
        """Return a new key of the owner."""
        async with unit_of_work(self.sessions) as session:
            return await make_key(session, user=self.owner)

    @asynccontextmanager
    async def api(
        self, program: str | Path = "app.cli", **environment: str
    ) -> AsyncGenerator[httpx.AsyncClient, None]:
        """Yield the owner's client of a new API; paths are relative to the project's tasks."""
        self._processes += 1
        process = self._start("serve --port 0", f"api{self._processes}", program, environment)
        key = await self.key()
        base_url = await address_of(process)
        async with socket_client(
            base_url=f"{base_url}/api/projects/{self.project.id}/tasks", headers=bearer(key), timeout=60
        ) as client:
            async with socket_client(base_url=base_url) as probe:
                await wait_until_ready(probe, process)
            yield client
        assert await process.stop() == 0, process.log.read_text()[-2000:]

    def _start(
        self, command: str, name: str, program: str | Path, environment: dict[str, str]
    ) -> ServiceProcess:
        log = self.folder / f"{name}.log"
        return self._stack.enter_context(
            service_process(command, settings=self.settings, log=log, program=program, **environment)
        )

    async def queue_runs(self, count: int, description: str, **state: Any) -> list[Run]:
        """Make runs of tasks with this description and queue their jobs."""
        asked: dict[str, Any] = {"description": description, "repository": state.pop("repository", None)}
        state = {"mode": "background", **state}
        runs = []
        async with unit_of_work(self.sessions) as session:
            for _ in range(count):
                task = await make_task(session, project=self.project, created_by=self.owner, **asked)
                runs.append(await make_run(session, task=task, dispatch_requested_at=utcnow(), state=state))
        queue = JobQueue(self.settings.redis_url)
        for run in runs:
            assert await enqueue_run(queue, run.id)
        await queue.aclose()
        return runs

    async def rows(self) -> list[Run]:
        """Return the runs of the project as they are now."""
        async with unit_of_work(self.sessions) as session:
            return list(await session.scalars(select(Run).where(Run.project_id == self.project.id)))

    async def cancel(self, run: Run) -> None:
        """Cancel a run as the API does, and wake its worker."""
        redis = create_redis(self.settings.redis_url)
        async with unit_of_work(self.sessions) as session:
            await run_lifecycle.set_status(session, run.id, RunStatus.CANCELLED, events=RecordingEvents())
            wake_run_worker_after_commit(session, redis, run.id)
        await redis.aclose()

    async def wait_until_empty(self) -> None:
        """Wait until the folders of workspaces and the temporary folder are empty."""

        await eventually(lambda: not self.files_left(), within_seconds=120)

    def files_left(self) -> list[str]:
        """Return the entries of the temporary folder and of the folder of workspaces."""
        places = [self.temporary, *self.folder.glob("*/workspaces")]
        return [str(path) for place in places for path in place.iterdir()]

    async def wait_until_over(self, count: int) -> None:
        """Wait until `count` runs are over."""
        ended = (Run.project_id == self.project.id, Run.status.in_(TERMINAL_STATUSES))

        async def over() -> bool:
            try:
                async with unit_of_work(self.sessions) as session:
                    found = await session.scalar(select(func.count()).select_from(Run).where(*ended))
            except DatabaseUnavailable:
                # It was restarted, and this pool has not noticed.
                return False
            return bool(found is not None and found >= count)

        await eventually(over, within_seconds=_OVER_SECONDS)

    async def wait_until_agents_work(self, count: int) -> None:
        """Wait until the agents of `count` runs were started."""

        async def working() -> bool:
            return sum("agent_started_at" in run.facts for run in await self.rows()) >= count

        await eventually(working, within_seconds=_OVER_SECONDS)

    async def wait_until_logged(self, worker: ServiceProcess, words: str, *, times: int = 1) -> None:
        """Wait until a worker has written these words to its log `times` times."""

        await eventually(
            lambda: worker.log.read_text(errors="replace").count(words) >= times, within_seconds=_OVER_SECONDS
        )

    async def wait_until_gone(self, worker: ServiceProcess) -> None:
        """Wait until a worker process has ended."""

        await eventually(lambda: not worker.is_running, within_seconds=120)

    async def let_the_grace_pass(self) -> None:
        """Make queued runs so old that the sweep takes their jobs for lost."""
        await self._update(Run.status == RunStatus.QUEUED, dispatch_requested_at=_long_ago())

    async def let_leases_lapse(self, worker: ServiceProcess) -> int:
        """Let the leases of a killed worker lapse; return the number of runs that it held."""
        return await self._update(
            (Run.status == RunStatus.IN_PROGRESS) & Run.lease_owner.startswith(_owner(worker)),
            lease_expires_at=_long_ago(),
        )

    async def let_checks_lapse(self, worker: ServiceProcess) -> int:
        """Let the leases of a killed worker on the checks of runs lapse; return the number of runs that it checked."""
        lapsed = update(Verification).where(Verification.lease_owner.startswith(_owner(worker)))
        async with unit_of_work(self.sessions) as session:
            changed = lapsed.values(lease_expires_at=_long_ago()).returning(Verification.run_id)
            return len((await session.execute(changed)).all())

    async def _update(self, condition: ColumnElement[bool], **values: Any) -> int:
        async with unit_of_work(self.sessions) as session:
            changed = await session.execute(
                update(Run)
                .where(Run.project_id == self.project.id, condition)
                .values(**values)
                .returning(Run.id)
            )
            return len(changed.all())


async def read_log(store: ObjectStore, run: Run) -> str:
    """Return the text of a run's log in the object store."""
    async with store.open(RunRef(run.project_id, run.task_id, run.id).log_key) as content:
        return b"".join([chunk async for chunk in content.chunks]).decode()


def _owner(worker: ServiceProcess) -> str:
    """Return how the names of a worker's jobs begin."""
    return f"{socket.gethostname()[:20]}:{worker.pid}:"


def _long_ago() -> datetime:
    return utcnow() - timedelta(minutes=5)
