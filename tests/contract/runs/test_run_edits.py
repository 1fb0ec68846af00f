"""Create, start, change, cancel and reopen runs (contract 6.4, 13.1, 13.2, 13.11)."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.outputs import killable_check as checking
from app.enums import TERMINAL_STATUSES, Environment, EventType, OriginProduct, QuestionStatus, RunStatus
from app.ids import new_id
from app.models import Event, Question, Run, Task, User
from tests.support.assertions import assert_invalid, assert_not_found, concerning
from tests.support.callers import Caller, bearer
from tests.support.clock import MovableClock, wire_time
from tests.support.factories import make_key, make_run
from tests.support.makers import NewTask
from tests.support.questions import make_question
from tests.support.runs import CLAUDE
from tests.support.stand_ins.fakes import RecordingQueue
from tests.support.waiting import next_round

JSON = dict[str, Any]
MakeRun = Callable[..., Awaitable[str]]
ARTIFACT = {"id": "a" * 32, "name": "a.txt", "type": "output", "storage_path": "tasks/artifacts/a"}


@pytest.fixture
def runs_url(task_url: str) -> str:
    return f"{task_url}/runs"


@pytest.fixture
def make(session: AsyncSession, task: Task, runs_url: str) -> MakeRun:
    """Make a run and return its URL."""

    async def make(**overrides: Any) -> str:
        run = await make_run(session, task=task, **overrides)
        return f"{runs_url}/{run.id}"

    return make


async def changed(client: httpx.AsyncClient, url: str, body: JSON) -> JSON:
    response = await client.patch(url, json=body)
    assert response.status_code == 200, response.text
    run: JSON = response.json()
    return run


def assert_refused(response: httpx.Response, error: str) -> None:
    assert (response.status_code, response.json()) == (400, {"error": error})


class TestCreate:
    async def test_run_is_local_queued_and_asks_for_no_worker(
        self, client: httpx.AsyncClient, runs_url: str, queue: RecordingQueue, session: AsyncSession
    ) -> None:
        response = await client.post(runs_url)
        assert response.status_code == 201, response.text
        run = response.json()
        assert (run["status"], run["environment"]) == ("queued", "local")
        assert run["state"] == {"mode": "background"}
        assert queue.jobs == []
        asked = select(Run.dispatch_requested_at).where(Run.id == run["id"])
        assert await session.scalar(asked) is None
        assert (await client.get(f"{runs_url}/{run['id']}")).json()["id"] == run["id"]

    async def test_options_are_those_of_run(self, client: httpx.AsyncClient, runs_url: str) -> None:
        body = {
            "environment": "cloud",
            "mode": "interactive",
            "branch": "main",
            "resume_from_run_id": "no id",
            **CLAUDE,
        }
        run = (await client.post(runs_url, json=body)).json()
        assert (run["environment"], run["branch"], run["provider"]) == ("cloud", "main", "anthropic")
        assert run["state"] == {
            "mode": "interactive",
            "pr_base_branch": "main",
            **CLAUDE,
            "provider": "anthropic",
        }

    async def test_bad_option_creates_nothing(self, client: httpx.AsyncClient, runs_url: str) -> None:
        for body, attr, code in (
            ({"environment": "moon"}, "environment", "invalid_choice"),
            ({"environment": None}, "environment", "null"),
            ({"mode": "fast"}, "mode", "invalid_choice"),
            ({"runtime_adapter": "claude"}, "model", "invalid_input"),
        ):
            with concerning(body):
                assert_invalid(await client.post(runs_url, json=body), attr, code)
        assert (await client.get(runs_url)).json()["count"] == 0


class TestStart:
    @pytest.mark.parametrize("status", [RunStatus.QUEUED, RunStatus.NOT_STARTED])
    async def test_worker_is_asked_for_once_and_the_task_answered(
        self,
        client: httpx.AsyncClient,
        make: MakeRun,
        task: Task,
        queue: RecordingQueue,
        session: AsyncSession,
        clock: MovableClock,
        status: RunStatus,
    ) -> None:
        """A second start keeps the place in the queue."""
        url, first = await make(status=status), clock.now
        for _ in range(2):
            response = await client.post(f"{url}/start", json={"pending_user_message": " go "})
            assert response.status_code == 200, response.text
            assert response.json()["id"] == str(task.id)
            run = response.json()["latest_run"]
            assert (run["status"], run["state"]["pending_user_message"]) == ("queued", "go")
            assert [job.arguments for job in queue.jobs] == [{"run_id": run["id"]}]
            assert await session.scalar(select(Run.dispatch_requested_at)) == first
            clock.advance(minutes=1)

    async def test_local_run_and_run_that_has_begun_are_refused(
        self, client: httpx.AsyncClient, make: MakeRun, queue: RecordingQueue
    ) -> None:
        local = await make(environment=Environment.LOCAL)
        only_cloud = "Only cloud runs can be started via this endpoint"
        assert_refused(await client.post(f"{local}/start"), only_cloud)
        for status in (RunStatus.IN_PROGRESS, *TERMINAL_STATUSES):
            url = await make(status=status)
            assert_refused(
                await client.post(f"{url}/start"),
                f"Only queued or not_started cloud runs can be started (current status: {status})",
            )
        assert queue.jobs == []

    async def test_files_of_the_run_are_handed_over(self, client: httpx.AsyncClient, make: MakeRun) -> None:
        url = await make(artifacts=[ARTIFACT])
        body = {"pending_user_artifact_ids": [ARTIFACT["id"], ARTIFACT["id"]]}
        run = (await client.post(f"{url}/start", json=body)).json()["latest_run"]
        assert run["state"]["pending_user_artifact_ids"] == [ARTIFACT["id"]]

    async def test_file_of_another_run_is_missing_and_nothing_changes(
        self, client: httpx.AsyncClient, make: MakeRun, queue: RecordingQueue
    ) -> None:
        url = await make(artifacts=[ARTIFACT])
        body = {"pending_user_message": "go", "pending_user_artifact_ids": ["x", ARTIFACT["id"], "y"]}
        response = await client.post(f"{url}/start", json=body)
        assert response.status_code == 400
        assert response.json() == {
            "detail": "Some pending_user_artifact_ids are invalid for this run",
            "missing_artifact_ids": ["x", "y"],
        }
        assert queue.jobs == []
        assert (await client.get(url)).json()["state"] == {"mode": "background"}

    async def test_body_comes_before_the_look_up(self, client: httpx.AsyncClient, runs_url: str) -> None:
        """Contract 2.3: custom actions."""
        url = f"{runs_url}/{new_id()}/start"
        assert_invalid(
            await client.post(url, json={"pending_user_message": None}), "pending_user_message", "null"
        )
        assert_not_found(await client.post(url))


class TestUpdate:
    async def test_given_fields_change_and_no_others(
        self, client: httpx.AsyncClient, make: MakeRun, clock: MovableClock
    ) -> None:
        url = await make(branch="main", stage="plan", output={"a": 1, "b": {"c": 2}}, error_message="old")
        before = (await client.get(url)).json()
        clock.advance(seconds=5)
        after = await changed(client, url, {"stage": "build", "output": {"b": {"d": 3}}})
        now = wire_time(clock)
        expected = {"stage": "build", "output": {"a": 1, "b": {"d": 3}}, "updated_at": now}
        assert {key: after[key] for key in after if key != "log_url"} == {
            key: value for key, value in (before | expected).items() if key != "log_url"
        }

    async def test_null_clears_a_field(self, client: httpx.AsyncClient, make: MakeRun) -> None:
        url = await make(branch="main", stage="plan", output={"a": 1}, error_message="old")
        body = {"branch": None, "stage": None, "output": None, "error_message": None}
        run = await changed(client, url, body)
        assert {key: run[key] for key in body} == body

    async def test_output_other_than_an_object_is_replaced(
        self, client: httpx.AsyncClient, make: MakeRun
    ) -> None:
        for output in (None, [1, 2], "text"):
            url = await make(output=output)
            assert (await changed(client, url, {"output": {"a": 1}}))["output"] == {"a": 1}

    async def test_state_is_merged_and_keys_removed(self, client: httpx.AsyncClient, make: MakeRun) -> None:
        url = await make(state={"mode": "background", "old": 1, "both": 1, "kept": {"x": 1}})
        body = {"state": {"new": 2, "both": 2}, "state_remove_keys": ["old", "both", "unknown"]}
        run = await changed(client, url, body)
        assert run["state"] == {"mode": "background", "kept": {"x": 1}, "new": 2, "both": 2}

    async def test_protected_keys_are_neither_set_nor_removed(
        self, client: httpx.AsyncClient, make: MakeRun
    ) -> None:
        for key in (
            *("github_credential_source", "pr_authorship_mode", "sandbox_environment_id", "sandbox_id"),
            *("agent_started_at", "agent_ended_at", "waiting_for", "attempts", "recovery"),
            *("queue_position", "waits_for"),
        ):
            url = await make(state={key: "bot"})
            body = {"state": {key: "user", "other": 1}, "state_remove_keys": [key]}
            with concerning(key):
                assert (await changed(client, url, body))["state"] == {key: "bot", "other": 1}

    async def test_first_terminal_status_is_stamped_once(
        self, client: httpx.AsyncClient, make: MakeRun, clock: MovableClock
    ) -> None:
        url = await make(status=RunStatus.IN_PROGRESS)
        ended = await changed(client, url, {"status": "completed"})
        stamp = wire_time(clock)
        assert (ended["status"], ended["completed_at"]) == ("completed", stamp)
        clock.advance(minutes=5)
        again = await changed(client, url, {"status": "completed", "output": {"late": True}})
        assert (again["completed_at"], again["output"]) == (stamp, {"late": True})

    async def test_run_that_is_over_keeps_its_status_and_nothing_else_is_written(
        self, client: httpx.AsyncClient, make: MakeRun
    ) -> None:
        url = await make(status=RunStatus.CANCELLED)
        response = await client.patch(url, json={"status": "completed", "stage": "late"})
        assert_refused(response, "Run is already cancelled")
        assert (await client.get(url)).json()["stage"] is None

    async def test_run_that_is_queued_again_has_a_job_only_if_a_worker_was_requested(
        self, client: httpx.AsyncClient, make: MakeRun, queue: RecordingQueue, clock: MovableClock
    ) -> None:
        """Contract 13.2."""
        clients, workers = [
            await make(status=RunStatus.NOT_STARTED, dispatch_requested_at=asked) for asked in (None, clock())
        ]
        for url in (clients, workers):
            assert (await changed(client, url, {"branch": "b"}))["status"] == "not_started"
            assert queue.jobs == []
            assert (await changed(client, url, {"status": "queued"}))["status"] == "queued"
        [job] = queue.jobs
        assert workers.endswith(job.arguments["run_id"])

    async def test_other_fields_stay_writable_when_a_run_is_over(
        self, client: httpx.AsyncClient, make: MakeRun
    ) -> None:
        url = await make(status=RunStatus.FAILED)
        run = await changed(client, url, {"error_message": "why", "state": {"a": 1}, "output": {"b": 2}})
        assert (run["status"], run["error_message"], run["output"]) == ("failed", "why", {"b": 2})

    async def test_latest_run_of_the_task_follows(
        self, client: httpx.AsyncClient, make: MakeRun, tasks_url: str
    ) -> None:
        url = await make()
        await changed(client, url, {"status": "failed"})
        assert (await client.get(tasks_url, params={"status": "failed"})).json()["count"] == 1

    async def test_bad_field_changes_nothing(self, client: httpx.AsyncClient, make: MakeRun) -> None:
        url = await make()
        before = (await client.get(url)).json()
        bodies: list[tuple[JSON, str, str]] = [
            ({"status": "sleeping"}, "status", "invalid_choice"),
            ({"status": None}, "status", "null"),
            ({"output": [1]}, "output", "not_a_dict"),
            ({"output": {"a": "\x00"}}, "output", "null_characters_not_allowed"),
            ({"state": None}, "state", "null"),
            ({"state": "x"}, "state", "not_a_dict"),
            ({"state": {"\x00": 1}}, "state", "null_characters_not_allowed"),
            ({"state_remove_keys": []}, "state_remove_keys", "empty"),
            ({"state_remove_keys": "mode"}, "state_remove_keys", "not_a_list"),
            ({"state_remove_keys": [{}]}, "state_remove_keys__0", "invalid_input"),
            ({"branch": "b" * 256}, "branch", "max_length"),
            ({"stage": "s" * 101}, "stage", "max_length"),
        ]
        for body, attr, code in bodies:
            with concerning(body):
                assert_invalid(await client.patch(url, json={"stage": "build"} | body), attr, code)
                assert (await client.get(url)).json() == before

    async def test_unknown_keys_are_ignored(self, client: httpx.AsyncClient, make: MakeRun) -> None:
        url = await make()
        run = await changed(client, url, {"completed_at": "now", "environment": "local", "id": 7})
        assert (run["completed_at"], run["environment"]) == (None, "cloud")

    async def test_look_up_comes_before_the_body(
        self, client: httpx.AsyncClient, session: AsyncSession, new_task: NewTask, runs_url: str
    ) -> None:
        """Contract 2.3, 11 #8."""
        of_other_task = await make_run(session, task=await new_task())
        for run_id in (of_other_task.id, new_id()):
            assert_not_found(await client.patch(f"{runs_url}/{run_id}", json={"status": "sleeping"}))


class TestSetOutput:
    async def test_set_output_replaces_the_whole_output(
        self, client: httpx.AsyncClient, make: MakeRun
    ) -> None:
        bodies: list[tuple[JSON, Any]] = [
            ({"output": {"a": 1}}, {"a": 1}),
            ({"a": 1}, {"a": 1}),
            ({}, {}),
            ({"output": None}, None),
            ({"output": [1, "x"]}, [1, "x"]),
        ]
        for body, output in bodies:
            url = await make(output={"old": 1}, status=RunStatus.COMPLETED)
            run = await changed(client, f"{url}/set_output", body)
            assert (run["output"], run["status"]) == (output, "completed")

    async def test_output_must_satisfy_the_schema_of_the_task(
        self, client: httpx.AsyncClient, session: AsyncSession, task: Task, make: MakeRun
    ) -> None:
        """Contract 11 #12: also a schema that is none is a refusal."""
        schema = {"type": "object", "required": ["answer"], "properties": {"answer": {"type": "integer"}}}
        url = await make(output={"old": 1})
        for wrong in (schema, {"type": 17}, [1, 2], "text", {"$ref": "http://127.0.0.1:9/schema"}):
            task.json_schema = wrong
            await session.flush()
            response = await client.patch(f"{url}/set_output", json={"output": {"answer": "many"}})
            with concerning(wrong):
                assert (response.status_code, list(response.json())) == (400, ["error"])
                assert response.json()["error"].startswith("Output validation error: ")
                assert (await client.get(url)).json()["output"] == {"old": 1}
        for right, answer in (
            ({"properties": {"answer": {"pattern": "(a|a)*$"}}}, "many"),
            (True, "many"),
            (schema, 42),
        ):
            task.json_schema = right
            await session.flush()
            run = await changed(client, f"{url}/set_output", {"answer": answer})
            assert run["output"] == {"answer": answer}

    @pytest.mark.walls
    async def test_project_with_many_outputs_to_be_checked_is_throttled(
        self, client: httpx.AsyncClient, session: AsyncSession, task: Task, make: MakeRun
    ) -> None:
        task.json_schema = {"pattern": "^(a+)+$"}
        await session.flush()
        url = await make()
        async with AsyncExitStack() as stack:
            waiting = [
                asyncio.create_task(stack.enter_async_context(checking.SLOTS.hold(task.project_id)))
                for _ in range(12)
            ]
            await next_round()
            response = await client.patch(f"{url}/set_output", json={"output": {"answer": 42}})
            assert response.status_code == 429
            assert response.headers["Retry-After"] == "10"
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)


class TestResumeInCloud:
    @pytest.mark.parametrize(
        ("status", "environment"),
        [
            *itertools.product(sorted(TERMINAL_STATUSES), Environment),
            (RunStatus.IN_PROGRESS, Environment.LOCAL),
        ],
    )
    async def test_run_that_is_over_or_a_clients_is_queued_again(
        self,
        client: httpx.AsyncClient,
        make: MakeRun,
        queue: RecordingQueue,
        status: RunStatus,
        environment: Environment,
    ) -> None:
        facts = {"agent_started_at": "2026-03-01T10:00:00Z"}
        url = await make(status=status, environment=environment, error_message="why", facts=facts)
        response = await client.post(f"{url}/resume_in_cloud")
        assert response.status_code == 200, response.text
        run = response.json()
        assert (run["status"], run["environment"]) == ("queued", "cloud")
        assert (run["completed_at"], run["error_message"]) == (None, None)
        assert run["state"] == {"mode": "background", "queue_position": 1, "waits_for": "slot"}
        assert [job.arguments for job in queue.jobs] == [{"run_id": run["id"]}]

    async def test_run_that_the_cloud_has_is_refused(
        self, client: httpx.AsyncClient, make: MakeRun, queue: RecordingQueue
    ) -> None:
        for status in set(RunStatus) - TERMINAL_STATUSES:
            url = await make(status=status)
            assert_refused(await client.post(f"{url}/resume_in_cloud"), "Run is already active in cloud")
        assert queue.jobs == []


async def events_of(session: AsyncSession, run: Run) -> list[str]:
    events = await session.scalars(select(Event.type).where(Event.run_id == run.id).order_by(Event.id))
    return list(events)


class TestCancel:
    @pytest.fixture
    async def live(self, session: AsyncSession, task: Task, clock: MovableClock) -> Run:
        """A run that a worker performs."""
        return await make_run(
            session,
            task=task,
            status=RunStatus.IN_PROGRESS,
            lease_owner="worker",
            lease_expires_at=clock.now + timedelta(seconds=60),
        )

    async def test_one_of_any_number_of_requests_cancels_the_run(
        self,
        client: httpx.AsyncClient,
        live: Run,
        task_url: str,
        session: AsyncSession,
        caller: Caller,
        clock: MovableClock,
    ) -> None:
        """The others find it over, and change nothing: as often as they are sent, and also one after the other."""
        url = f"{task_url}/runs/{live.id}"
        question = await make_question(session, task=await session.get_one(Task, live.task_id), run=live)
        responses = await asyncio.gather(
            *(client.post(f"{url}/cancel", json={"reason": f"  number {n} "}) for n in range(6))
        )
        assert sorted(response.status_code for response in responses) == [200] * 5 + [202]
        [number] = [n for n, response in enumerate(responses) if response.status_code == 202]
        run = (await client.get(url)).json()
        assert {response.content for response in responses} == {responses[number].content}
        assert {**responses[number].json(), "log_url": ""} == {**run, "log_url": ""}
        assert (run["status"], run["error_message"]) == ("cancelled", f"number {number}")
        assert run["completed_at"] == run["updated_at"] == wire_time(clock)
        assert run["state"] == {
            "mode": "background",
            "cancel_requested_at": clock.now.isoformat(),
            "cancel_source": "api",
            "cancel_requested_by_user_id": caller.user_id,
        }
        clock.advance(seconds=5)
        later = await client.post(f"{url}/cancel/", json={"reason": "again"})
        assert (later.status_code, later.json()["updated_at"]) == (200, run["updated_at"])
        events = await events_of(session, live)
        assert events.count(EventType.RUN_CANCELLED) == events.count(EventType.QUESTION_WITHDRAWN) == 1
        closed = await session.get_one(Question, question.id, populate_existing=True)
        assert closed.status == QuestionStatus.WITHDRAWN

    async def test_reason_is_optional(
        self, client: httpx.AsyncClient, task_url: str, task: Task, session: AsyncSession
    ) -> None:
        for body in (None, {}, {"reason": None}, {"reason": ""}, {"reason": "  "}, {"other": 1}):
            run = await make_run(session, task=task, status=RunStatus.NOT_STARTED)
            response = await client.post(f"{task_url}/runs/{run.id}/cancel", json=body)
            with concerning(body):
                assert (response.status_code, response.json()["error_message"]) == (202, "Stopped by user")

    async def test_run_that_is_over_is_answered_as_it_is(
        self, client: httpx.AsyncClient, task_url: str, task: Task, session: AsyncSession
    ) -> None:
        for status in TERMINAL_STATUSES:
            for environment in Environment:
                run = await make_run(
                    session, task=task, status=status, environment=environment, error_message="why"
                )
                url = f"{task_url}/runs/{run.id}"
                before = (await client.get(url)).json()
                response = await client.post(f"{url}/cancel", json={"reason": "late"})
                assert (response.status_code, response.json() | {"log_url": ""}) == (
                    200,
                    before | {"log_url": ""},
                )
                assert await events_of(session, run) == []

    async def test_local_run_is_left_to_its_client(
        self, client: httpx.AsyncClient, task_url: str, task: Task, session: AsyncSession
    ) -> None:
        for status in set(RunStatus) - TERMINAL_STATUSES:
            run = await make_run(session, task=task, status=status, environment=Environment.LOCAL)
            refused = await client.post(f"{task_url}/runs/{run.id}/cancel")
            assert_refused(refused, "Only cloud runs can be cancelled via this endpoint")
            assert (await client.get(f"{task_url}/runs/{run.id}")).json()["status"] == status

    async def test_bad_reason_is_refused(self, client: httpx.AsyncClient, live: Run, task_url: str) -> None:
        url = f"{task_url}/runs/{live.id}"
        for reason, code in (
            ("x" * 501, "max_length"),
            ([], "invalid_input"),
            ("a\x00", "null_characters_not_allowed"),
        ):
            assert_invalid(await client.post(f"{url}/cancel", json={"reason": reason}), "reason", code)
        assert (await client.get(url)).json()["status"] == "in_progress"
        longest = await client.post(f"{url}/cancel", json={"reason": f" {'x' * 500} "})
        assert (longest.status_code, longest.json()["error_message"]) == (202, "x" * 500)

    async def test_every_member_may_cancel_and_none_may_say_that_another_did(
        self,
        client: httpx.AsyncClient,
        tasks_url: str,
        new_task: NewTask,
        colleague: User,
        session: AsyncSession,
    ) -> None:
        """13.17: also a run with a person's account."""
        task = await new_task(origin_product=OriginProduct.HOGDESK)
        run = await make_run(session, task=task, state={"pr_authorship_mode": "user"})
        url = f"{tasks_url}/{task.id}/runs/{run.id}"
        forged = {"cancel_source": "me", "cancel_requested_by_user_id": 0, "cancel_requested_at": "never"}
        assert (await client.patch(url, json={"state": forged})).json()["state"].keys().isdisjoint(forged)
        headers = bearer(await make_key(session, user=colleague))
        assert (await client.post(f"{url}/cancel", headers=headers)).status_code == 202
        await client.patch(url, json={"state": forged, "state_remove_keys": list(forged)})
        state = (await client.get(url)).json()["state"]
        assert (state["cancel_source"], state["cancel_requested_by_user_id"]) == ("api", colleague.id)

    async def test_resumed_run_is_not_cancelled_any_more(
        self, client: httpx.AsyncClient, live: Run, task_url: str
    ) -> None:
        url = f"{task_url}/runs/{live.id}"
        await client.post(f"{url}/cancel")
        resumed = (await client.post(f"{url}/resume_in_cloud")).json()
        assert (resumed["status"], resumed["error_message"]) == ("queued", None)
        assert not [name for name in resumed["state"] if name.startswith("cancel")]

    async def test_repeated_request_gets_the_first_response(
        self, client: httpx.AsyncClient, live: Run, task_url: str
    ) -> None:
        url = f"{task_url}/runs/{live.id}"
        headers = {"Idempotency-Key": "one"}
        first, again = [await client.post(f"{url}/cancel", headers=headers) for _ in range(2)]
        assert (first.status_code, again.status_code, again.content) == (202, 202, first.content)
        assert again.headers["Idempotent-Replayed"] == "true"
