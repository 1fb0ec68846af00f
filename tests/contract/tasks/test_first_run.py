"""Create a task with hints for its first run, and start or schedule that run (contract 5.2, 5.10)."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Event, Project, Run, SandboxEnvironment, Task, User
from app.runtime import ProcessContext
from app.services.access.usage_gates import Limit
from app.services.runs.new_runs import start_scheduled_runs
from app.services.runs.run_lifecycle import claim
from tests.contract.globals.test_shapes import RUN_KEYS, TASK_KEYS
from tests.support.assertions import assert_invalid, concerning
from tests.support.clock import MovableClock
from tests.support.factories import make_sandbox_environment
from tests.support.runs import CLAUDE, CODEX, UNKNOWN
from tests.support.stand_ins.fakes import RecordingQueue, ScriptedGate

Json = dict[str, Any]
Create = Callable[..., Awaitable[Json]]

pytestmark = pytest.mark.usefixtures("clock")

HOUR = timedelta(hours=1)
MCP = "imported_mcp_servers"
SERVER = {
    "type": "http",
    "name": "issues",
    "url": "https://93.184.215.14/",
    "headers": {"Authorization": "s3cret"},
}
LATER = "2026-03-01T11:00:00.123456Z"


@pytest.fixture
def create(client: httpx.AsyncClient, tasks_url: str) -> Create:
    async def create(**body: Any) -> Json:
        response = await client.post(tasks_url, json=body)
        assert response.status_code == 201, response.text
        task: Json = response.json()
        return task

    return create


@pytest.fixture
async def environment(session: AsyncSession, project: Project, owner: User) -> SandboxEnvironment:
    """An environment of the owner's own."""
    return await make_sandbox_environment(session, project=project, created_by=owner)


async def status_of(session: AsyncSession, run: Json) -> str | None:
    return await session.scalar(select(Run.status).where(Run.id == run["id"]))


class TestHints:
    async def test_first_run_takes_them_where_its_request_is_silent_and_later_runs_do_not(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        tasks_url: str,
        create: Create,
        environment: SandboxEnvironment,
    ) -> None:
        state = {
            "pending_user_message": "Keep it small.",
            "sandbox_environment_id": str(environment.id),
            **CLAUDE,
            "reasoning_effort": "high",
        }
        hints = {"branch": "next", **state}
        taken = {"mode": "background", "pr_base_branch": "next", "provider": "anthropic", **state}
        for path, body in (("run", {}), ("runs", {"environment": "cloud"}), ("runs", {})):
            task = await create(**hints)
            assert set(task) == TASK_KEYS
            url = f"{tasks_url}/{task['id']}"
            assert (await client.get(url)).json() == task, "they are in no answer"
            assert (await client.post(f"{url}/{path}", json=body)).is_success
            run = (await client.get(url)).json()["latest_run"]
            for name in ("queue_position", "waits_for"):
                run["state"].pop(name, None)
            assert (run["branch"], run["state"]) == ("next", taken)
            assert await session.scalar(select(Task.encrypted_hints).where(Task.id == task["id"])) is None
            await client.post(f"{url}/{path}", json=body)
            second = (await client.get(url)).json()["latest_run"]
            assert (second["branch"], second["model"]) == (None, None)
            assert "sandbox_environment_id" not in second["state"]

    async def test_request_of_the_first_run_comes_before_them(
        self, client: httpx.AsyncClient, tasks_url: str, create: Create
    ) -> None:
        """Adapter, model and effort are taken together, or not at all."""
        for body, expected in (
            ({"branch": "main"}, {"pr_base_branch": "main", **CLAUDE, "reasoning_effort": "max"}),
            (CODEX, {"pr_base_branch": "next", **CODEX}),
            ({"pending_user_message": "b"}, {"pending_user_message": "b", **CLAUDE}),
        ):
            task = await create(branch="next", pending_user_message="a", reasoning_effort="max", **CLAUDE)
            response = await client.post(f"{tasks_url}/{task['id']}/run", json=body)
            state = response.json()["latest_run"]["state"]
            with concerning(body):
                assert {name: state[name] for name in expected} == expected
                assert ("reasoning_effort" in state) == (body is not CODEX)

    async def test_null_stands_for_absent_and_others_have_no_effect(
        self, client: httpx.AsyncClient, tasks_url: str, create: Create
    ) -> None:
        names = (
            *("branch", "runtime_adapter", "model", "reasoning_effort", "pending_user_message"),
            *("pending_user_artifact_ids", "auto_publish", "sandbox_environment_id", "custom_image_id"),
            "imported_mcp_servers",
        )
        for hints in (
            dict.fromkeys(names),
            {"pending_user_message": " "},
            {"pending_user_artifact_ids": ["x"], "auto_publish": "yes", "custom_image_id": UNKNOWN},
        ):
            task = await create(**hints)
            assert set(task) == TASK_KEYS
            response = await client.post(f"{tasks_url}/{task['id']}/run")
            state = response.json()["latest_run"]["state"]
            position = state["queue_position"]
            assert state == {"mode": "background", "queue_position": position, "waits_for": "slot"}

    async def test_wrong_ones_are_refused_in_their_order_and_nothing_is_made(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        tasks_url: str,
        project: Project,
        colleague: User,
    ) -> None:
        private = await make_sandbox_environment(session, project=project, created_by=colleague)
        needed = "This field is required when selecting a cloud runtime."
        cases: tuple[tuple[Json, str, str, str | None], ...] = (
            ({"branch": ""}, "branch", "blank", None),
            ({"branch": "x" * 256}, "branch", "max_length", None),
            ({"model": ""}, "model", "blank", None),
            ({"model": "m"}, "runtime_adapter", "invalid_input", needed),
            ({"reasoning_effort": "low"}, "runtime_adapter", "invalid_input", needed),
            ({"runtime_adapter": "claude"}, "model", "invalid_input", needed),
            ({"runtime_adapter": "x", "model": "m"}, "runtime_adapter", "invalid_choice", None),
            ({**CLAUDE, "reasoning_effort": "huge"}, "reasoning_effort", "invalid_choice", None),
            ({**CODEX, "reasoning_effort": "max"}, "reasoning_effort", "invalid_input", None),
            ({"pending_user_message": []}, "pending_user_message", "invalid_input", None),
            ({"pending_user_artifact_ids": "x"}, "pending_user_artifact_ids", "not_a_list", None),
            ({"pending_user_artifact_ids": ["x" * 129]}, "pending_user_artifact_ids__0", "max_length", None),
            ({"auto_publish": "maybe"}, "auto_publish", "invalid_input", None),
            ({"sandbox_environment_id": "x"}, "sandbox_environment_id", "invalid_input", None),
            ({"sandbox_environment_id": UNKNOWN}, "sandbox_environment_id", "does_not_exist", None),
            ({"sandbox_environment_id": str(private.id)}, "sandbox_environment_id", "does_not_exist", None),
            ({"custom_image_id": 1}, "custom_image_id", "invalid_input", None),
            ({"imported_mcp_servers": [{**SERVER, "name": "x" * 65}]}, f"{MCP}__0__name", "max_length", None),
            ({"imported_mcp_servers": [SERVER, SERVER]}, f"{MCP}__1__name", "invalid_input", None),
            (
                {"imported_mcp_servers": [{**SERVER, "url": "http://10.0.0.1"}]},
                f"{MCP}__0__url",
                "invalid_input",
                None,
            ),
            ({"start_run": None}, "start_run", "null", None),
            # The fields of 5.2 come first.
            ({"branch": "", "github_integration": 10**9}, "github_integration", "does_not_exist", None),
            ({"model": "m", "sandbox_environment_id": UNKNOWN}, "runtime_adapter", "invalid_input", None),
        )
        for body, attr, code, detail in cases:
            with concerning(body):
                assert_invalid(await client.post(tasks_url, json=body), attr, code, detail)
        assert await session.scalar(select(func.count(Task.id))) == 0

    async def test_update_ignores_them(
        self, client: httpx.AsyncClient, tasks_url: str, task_url: str, create: Create
    ) -> None:
        assert (await client.patch(task_url, json={"branch": "", "start_run": 5})).status_code == 200
        task = await create(branch="first")
        url = f"{tasks_url}/{task['id']}"
        await client.patch(url, json={"branch": "second"})
        assert (await client.post(f"{url}/run")).json()["latest_run"]["branch"] == "first"

    async def test_environment_that_is_gone_is_dropped(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        tasks_url: str,
        create: Create,
        environment: SandboxEnvironment,
    ) -> None:
        """As an inherited one (9.2): the request does not name it."""
        task = await create(sandbox_environment_id=str(environment.id))
        await session.delete(environment)
        await session.flush()
        response = await client.post(f"{tasks_url}/{task['id']}/run")
        assert "sandbox_environment_id" not in response.json()["latest_run"]["state"]

    @pytest.mark.parametrize("options", [{}, {"start_run": True}])
    async def test_first_run_of_the_creator_alone_takes_mcp_servers(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        tasks_url: str,
        create: Create,
        colleague: User,
        options: Json,
    ) -> None:
        """Their headers are the creator's secrets."""

        async def servers_of_a_run(task: Json) -> str | None:
            assert (await client.post(f"{tasks_url}/{task['id']}/run")).status_code == 200
            newest = select(Run.encrypted_mcp_servers).where(Run.task_id == task["id"])
            return await session.scalar(newest.order_by(Run.created_at.desc()))

        task = await create(imported_mcp_servers=[SERVER], **options)
        assert "s3cret" not in str(task)
        if not options:
            assert await servers_of_a_run(task)
        assert await servers_of_a_run(task) is None
        first = select(Run.encrypted_mcp_servers).where(Run.task_id == task["id"])
        assert await session.scalar(first.order_by(Run.created_at).limit(1))
        of_another = await create(imported_mcp_servers=[SERVER], origin_product="onboarding")
        values = {"created_by_id": colleague.id}
        await session.execute(update(Task).where(Task.id == of_another["id"]).values(values))
        assert await servers_of_a_run(of_another) is None

    async def test_first_run_with_an_empty_list_of_mcp_servers_has_none(
        self, client: httpx.AsyncClient, session: AsyncSession, tasks_url: str, create: Create
    ) -> None:
        """Regression: an explicit `[]` was taken for silence."""
        task = await create(branch="next", imported_mcp_servers=[SERVER])
        response = await client.post(f"{tasks_url}/{task['id']}/run", json={MCP: []})
        assert response.json()["latest_run"]["branch"] == "next"
        assert await session.scalar(select(Run.encrypted_mcp_servers)) is None

    async def test_first_run_whose_hints_no_key_decrypts_is_refused(
        self, client: httpx.AsyncClient, session: AsyncSession, tasks_url: str, create: Create
    ) -> None:
        """Regression: 500. A run without them may be another than its person wants."""
        task = await create(branch="next")
        await session.execute(update(Task).values(encrypted_hints="lost"))
        response = await client.post(f"{tasks_url}/{task['id']}/run")
        assert response.status_code == 400
        assert response.json()["detail"].startswith("The options for the first run of this task cannot be ")

    async def test_deleted_task_keeps_none(
        self, client: httpx.AsyncClient, session: AsyncSession, tasks_url: str, create: Create
    ) -> None:
        task = await create(branch="next")
        kept = select(Task.encrypted_hints).where(Task.id == task["id"])
        assert "next" not in (await session.scalar(kept) or "next")
        await client.delete(f"{tasks_url}/{task['id']}")
        assert await session.scalar(kept) is None


class TestStartRun:
    async def test_run_starts_with_the_hints_as_run_would(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        tasks_url: str,
        create: Create,
        queue: RecordingQueue,
    ) -> None:
        task = await create(title="x", branch="next", start_run="yes", **CLAUDE)
        assert set(task) == {*TASK_KEYS, "run", "run_error"}
        run = task["run"]
        assert run == task["latest_run"]
        assert set(run) == RUN_KEYS
        assert task["run_error"] is None
        assert (run["status"], run["environment"], run["branch"]) == ("queued", "cloud", "next")
        assert (run["model"], run["scheduled_at"]) == (CLAUDE["model"], None)
        assert [job.arguments for job in queue.jobs] == [{"run_id": run["id"]}]
        shown = (await client.get(f"{tasks_url}/{task['id']}")).json()
        assert (set(shown), shown["latest_run"]["id"]) == (TASK_KEYS, run["id"])
        types = select(Event.type).where(Event.task_id == task["id"]).order_by(Event.seq)
        assert list(await session.scalars(types)) == ["task.created", "run.queued"]

    async def test_without_it_there_are_no_more_keys(self, create: Create, queue: RecordingQueue) -> None:
        for body in ({"start_run": False}, {"scheduled_at": None}):
            assert set(await create(**body)) == TASK_KEYS
        assert queue.jobs == []

    async def test_key_covers_the_run(
        self, client: httpx.AsyncClient, session: AsyncSession, tasks_url: str, clock: MovableClock
    ) -> None:
        """Also when the time is past by then, so that the request would be refused now."""
        headers = {"Idempotency-Key": "one"}
        body = {"scheduled_at": LATER}
        first = await client.post(tasks_url, json=body, headers=headers)
        clock.advance(hours=2)
        again = await client.post(tasks_url, json=body, headers=headers)
        assert (again.status_code, again.json()) == (201, first.json())
        assert await session.scalar(select(func.count(Run.id))) == 1

    @pytest.mark.parametrize("options", [{"start_run": True}, {"scheduled_at": LATER}])
    async def test_refused_run_does_not_prevent_the_task(
        self,
        application: FastAPI,
        process: ProcessContext,
        client: httpx.AsyncClient,
        session: AsyncSession,
        tasks_url: str,
        create: Create,
        options: Json,
    ) -> None:
        """The hints stay for the first run."""
        gate = ScriptedGate(Limit())
        application.state.process = replace(process, gates=[gate])
        first, again = [
            await client.post(
                tasks_url, json={"branch": "next", **options}, headers={"Idempotency-Key": "one"}
            )
            for _ in range(2)
        ]
        assert (first.status_code, again.status_code) == (201, 201)
        task = first.json()
        assert task == again.json()
        assert (task["run"], task["latest_run"]) == (None, None)
        assert task["run_error"] == "This project is over its usage limit."
        assert len(gate.asked) == 1
        assert_invalid(
            await client.post(tasks_url, json={"model": "m", **options}), "runtime_adapter", "invalid_input"
        )
        assert set(await create(branch="next")) == TASK_KEYS
        assert len(gate.asked) == 1, "nothing that starts no run or is refused asks"
        application.state.process = process
        response = await client.post(f"{tasks_url}/{task['id']}/run")
        assert response.json()["latest_run"]["branch"] == "next"
        # The state of a run is limited in bytes, its message in characters.
        task = await create(pending_user_message="\N{EURO SIGN}" * 10**6, **options)
        assert (task["run"], task["run_error"]) == (None, "Run state exceeds the limit of 1048576 bytes")
        assert await session.scalar(select(func.count(Run.id)).where(Run.task_id == task["id"])) == 0


class TestScheduledAt:
    async def test_run_is_queued_at_its_time_once(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        process: ProcessContext,
        tasks_url: str,
        create: Create,
        queue: RecordingQueue,
        clock: MovableClock,
    ) -> None:
        task = await create(title="x", scheduled_at=LATER, start_run=True, branch="next")
        run = task["run"]
        assert run == task["latest_run"]
        assert (run["status"], run["environment"], run["branch"]) == ("not_started", "cloud", "next")
        assert (run["scheduled_at"], run["state"]["mode"]) == (LATER, "background")
        url = f"{tasks_url}/{task['id']}/runs/{run['id']}"
        clock.now = datetime.fromisoformat(LATER) - timedelta(microseconds=1)
        assert await start_scheduled_runs(process) == 0
        assert queue.jobs == []
        assert (await client.get(url)).json() | {"log_url": run["log_url"]} == run
        clock.advance(microseconds=1)
        assert await start_scheduled_runs(process) == 1
        assert await start_scheduled_runs(process) == 0
        assert [job.arguments for job in queue.jobs] == [{"run_id": run["id"]}]
        begun = (await client.get(url)).json()
        assert (begun["status"], begun["scheduled_at"]) == ("queued", LATER)
        assert begun["state"]["queue_position"] == 1
        types = select(Event.type).where(Event.task_id == task["id"]).order_by(Event.seq)
        assert list(await session.scalars(types)) == ["task.created", "run.queued"]

    async def test_run_does_what_the_task_said_at_its_creation(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        tasks_url: str,
        create: Create,
    ) -> None:
        """The worker reads the snapshot (tests/contract/runs/test_run_authority.py)."""
        task = await create(description="as it was", scheduled_at=LATER)
        await client.patch(f"{tasks_url}/{task['id']}", json={"description": "as it is"})
        snapshot = await session.scalar(select(Run.asked_task).where(Run.id == task["run"]["id"]))
        assert snapshot is not None
        assert snapshot["description"] == "as it was"

    async def test_time_must_be_ahead_and_not_too_far(
        self, client: httpx.AsyncClient, session: AsyncSession, tasks_url: str, clock: MovableClock
    ) -> None:
        last = clock.now + timedelta(days=90)
        second = timedelta(seconds=1)
        refused = (clock.now, clock.now - HOUR, last + second)
        for value in (*(each.isoformat() for each in refused), "soon", "", 5, True, "2026-13-01T00:00:00Z"):
            with concerning(value):
                response = await client.post(tasks_url, json={"scheduled_at": value})
                assert_invalid(response, "scheduled_at", "invalid_input")
        assert await session.scalar(select(func.count(Task.id))) == 0
        naive = (clock.now + HOUR).replace(tzinfo=None).isoformat()
        for value in (naive, "2026-03-01T12:00:00.123456+01:00", last.isoformat()):
            response = await client.post(tasks_url, json={"scheduled_at": value})
            shown = last.isoformat().replace("+00:00", "Z") if value == last.isoformat() else LATER
            assert response.json()["run"]["scheduled_at"] == shown

    async def test_what_happens_before_its_time_decides(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        process: ProcessContext,
        tasks_url: str,
        create: Create,
        queue: RecordingQueue,
        clock: MovableClock,
    ) -> None:
        cancelled, deleted, started, changed, left = [await create(scheduled_at=LATER) for _ in range(5)]

        def url(task: Json) -> str:
            return f"{tasks_url}/{task['id']}/runs/{task['run']['id']}"

        response = await client.patch(url(cancelled), json={"status": "cancelled"})
        assert (response.json()["status"], response.json()["scheduled_at"]) == ("cancelled", LATER)
        await client.delete(f"{tasks_url}/{deleted['id']}")
        response = await client.post(f"{url(started)}/start")
        assert response.json()["latest_run"]["status"] == "queued"
        assert response.json()["latest_run"]["scheduled_at"] == LATER
        assert (await client.patch(url(changed), json={"status": "in_progress"})).status_code == 200
        assert [job.arguments["run_id"] for job in queue.jobs] == [started["run"]["id"]]

        clock.advance(hours=2)
        await start_scheduled_runs(process)

        jobs = [job.arguments["run_id"] for job in queue.jobs]
        assert jobs == [started["run"]["id"], left["run"]["id"]]
        assert await status_of(session, cancelled["run"]) == "cancelled"
        assert await status_of(session, deleted["run"]) == "not_started"
        assert await status_of(session, changed["run"]) == "in_progress"
        # A worker had it, so that its time is past.
        assert await claim(session, owner="job", events=process.events)
        await client.patch(url(started), json={"status": "not_started"})
        assert await start_scheduled_runs(process) == 0
