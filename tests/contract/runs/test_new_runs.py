"""Start a run of a task (contract 5.8): who performs it, and in which order what is wrong is found."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.job_queue import JobQueue
from app.models import Run, Task
from app.runtime import ProcessContext
from tests.support.assertions import assert_page
from tests.support.clock import MovableClock
from tests.support.deployment.processes import closed_port
from tests.support.runs import CODEX, UNKNOWN, started
from tests.support.stand_ins.fakes import QueuedJob, RecordingQueue

Json = dict[str, Any]


async def runs_of(session: AsyncSession, task: Task) -> int:
    count = await session.scalar(select(func.count(Run.id)).where(Run.task_id == task.id))
    assert count is not None
    return count


class TestStart:
    async def test_answers_the_task_with_its_queued_cloud_run(
        self, client: httpx.AsyncClient, task: Task, run_url: str, clock: MovableClock
    ) -> None:
        response = await client.post(run_url, json={})
        assert response.status_code == 200
        assert response.json()["id"] == str(task.id)
        run = response.json()["latest_run"]
        now = clock.now.isoformat().replace("+00:00", "Z")
        assert {key: run[key] for key in run if key not in {"id", "log_url"}} == {
            "task": str(task.id),
            "stage": None,
            "branch": None,
            "status": "queued",
            "environment": "cloud",
            "runtime_adapter": None,
            "provider": None,
            "model": None,
            "reasoning_effort": None,
            "error_message": None,
            "output": None,
            "state": {"mode": "background", "queue_position": 1, "waits_for": "slot"},
            "artifacts": [],
            "created_at": now,
            "updated_at": now,
            "completed_at": None,
            "scheduled_at": None,
            "verification": None,
        }

    async def test_asks_a_worker_once(
        self, client: httpx.AsyncClient, session: AsyncSession, run_url: str, queue: RecordingQueue
    ) -> None:
        run = await started(client, run_url, {})
        assert queue.jobs == [QueuedJob("execute_run", f"execute_run:{run['id']}", {"run_id": run["id"]})]
        asked = await session.scalar(select(Run.dispatch_requested_at).where(Run.id == UUID(run["id"])))
        assert asked is not None, "the row is what the sweeper finds if the job is lost"

    async def test_second_run_while_one_is_active_is_allowed(
        self, client: httpx.AsyncClient, run_url: str, task_url: str, queue: RecordingQueue
    ) -> None:
        first, second = [await started(client, run_url, {}) for _ in range(2)]
        assert first["id"] != second["id"]
        assert len(queue.jobs) == 2
        rows = assert_page(await client.get(f"{task_url}/runs"), count=2)
        assert [row["id"] for row in rows] == [second["id"], first["id"]]

    async def test_queue_that_is_away_does_not_fail_the_request(
        self,
        application: FastAPI,
        process: ProcessContext,
        client: httpx.AsyncClient,
        session: AsyncSession,
        task: Task,
        run_url: str,
    ) -> None:
        """Contract 5.8 step 10 and 11 #19: the queued row is what a sweeper starts later."""
        away = JobQueue(f"redis://127.0.0.1:{closed_port()}/0")
        application.state.process = replace(process, queue=away)
        run = await started(client, run_url, {})
        assert run["status"] == "queued"
        waiting = select(Run.dispatch_requested_at).where(Run.task_id == task.id)
        assert await session.scalar(waiting) is not None
        await away.aclose()

    async def test_refused_request_asks_no_worker(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        task: Task,
        run_url: str,
        queue: RecordingQueue,
    ) -> None:
        for body in (
            {"mode": "x"},
            {"resume_from_run_id": UNKNOWN},
            {"pr_authorship_mode": "user"},
            {"sandbox_environment_id": UNKNOWN},
            {"pending_user_artifact_ids": ["x"]},
            {**CODEX, "reasoning_effort": "max"},
        ):
            assert (await client.post(run_url, json=body)).status_code == 400
        assert queue.jobs == []
        assert await runs_of(session, task) == 0


class TestWhatIsNotThere:
    async def test_sandbox_environment_is_invalid(self, client: httpx.AsyncClient, run_url: str) -> None:
        response = await client.post(run_url, json={"sandbox_environment_id": UNKNOWN})
        assert response.status_code == 400
        assert response.json() == {"detail": "Invalid sandbox_environment_id"}

    async def test_unknown_artifacts_are_named_in_request_order_without_repeats(
        self, client: httpx.AsyncClient, run_url: str
    ) -> None:
        body = {"pending_user_artifact_ids": ["c", "a", "c", "b"]}
        response = await client.post(run_url, json=body)
        assert response.status_code == 400
        assert response.json() == {
            "detail": "Some pending_user_artifact_ids are invalid or expired",
            "missing_artifact_ids": ["c", "a", "b"],
        }

    async def test_resume_is_checked_first_and_artifacts_last(
        self, client: httpx.AsyncClient, run_url: str
    ) -> None:
        """The steps of contract 5.8, each wrong one reported before the next."""
        body: Json = {
            "resume_from_run_id": UNKNOWN,
            **CODEX,
            "reasoning_effort": "max",
            "pr_authorship_mode": "user",
            "sandbox_environment_id": UNKNOWN,
            "pending_user_artifact_ids": ["x"],
        }
        said = []
        for repaired in (
            "resume_from_run_id",
            "reasoning_effort",
            "pr_authorship_mode",
            "sandbox_environment_id",
            "pending_user_artifact_ids",
        ):
            answer = (await client.post(run_url, json=body)).json()
            said.append(answer.get("attr") or answer["detail"])
            del body[repaired]
        assert said == [
            "Invalid resume_from_run_id",
            "reasoning_effort",
            "pr_authorship_mode",
            "Invalid sandbox_environment_id",
            "Some pending_user_artifact_ids are invalid or expired",
        ]
        assert (await client.post(run_url, json=body)).status_code == 200
