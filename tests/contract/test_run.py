"""Start a run of a task (contract 5.8) by the rules of chapter 9."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.queue import ArqQueue
from app.enums import OriginProduct, RunStatus
from app.models import Project, Run, Task, User
from app.services.process import ProcessContext
from tests.support.assertions import assert_invalid, assert_page
from tests.support.callers import CallerKind
from tests.support.clock import MovableClock
from tests.support.factories import (
    make_integration,
    make_run,
    make_task,
    make_user,
    make_user_integration,
)
from tests.support.fakes import QueuedJob, RecordingQueue
from tests.support.processes import free_port

Json = dict[str, Any]
UNKNOWN = "11111111-1111-4111-8111-111111111111"
NULL = "This field may not be null."
BLANK = "This field may not be blank."
CLAUDE = {"runtime_adapter": "claude", "model": "claude-opus-4-6"}
CODEX = {"runtime_adapter": "codex", "model": "gpt-5.5"}


@pytest.fixture
def run_url(task_url: str) -> str:
    return f"{task_url}/run"


async def started(client: httpx.AsyncClient, run_url: str, body: Json) -> Json:
    """Start a run and return it, without its place among those that wait (test_run_queue.py)."""
    response = await client.post(run_url, json=body)
    assert response.status_code == 200, response.text
    run: Json = response.json()["latest_run"]
    assert run["state"].pop("queue_position") >= 1
    return run


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
            "state": {"mode": "background", "queue_position": 1},
            "artifacts": [],
            "created_at": now,
            "updated_at": now,
            "completed_at": None,
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
        away = ArqQueue(f"redis://127.0.0.1:{free_port()}/0")
        application.state.process = replace(process, queue=away)
        run = await started(client, run_url, {})
        assert run["status"] == "queued"
        waiting = select(Run.dispatch_requested_at).where(Run.task_id == task.id)
        assert await session.scalar(waiting) is not None
        await away.aclose()

    async def test_refused_request_asks_nobody(
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


class TestFields:
    """The table of contract 5.8."""

    @pytest.mark.parametrize(
        "field",
        [
            "mode",
            "resume_from_run_id",
            "pending_user_message",
            "pending_user_artifact_ids",
            "sandbox_environment_id",
            "pr_authorship_mode",
            "run_source",
            "signal_report_id",
            "runtime_adapter",
            "model",
            "reasoning_effort",
            "github_user_token",
            "initial_permission_mode",
        ],
    )
    async def test_null_is_refused(self, client: httpx.AsyncClient, run_url: str, field: str) -> None:
        assert_invalid(await client.post(run_url, json={field: None}), field, "null", NULL)

    async def test_branch_may_be_null(self, client: httpx.AsyncClient, run_url: str) -> None:
        run = await started(client, run_url, {"branch": None})
        assert (run["branch"], run["state"]) == (None, {"mode": "background"})

    @pytest.mark.parametrize(
        ("field", "value", "code", "detail"),
        [
            pytest.param("mode", "x", "invalid_choice", '"x" is not a valid choice.', id="5.8-mode"),
            pytest.param("mode", "", "invalid_choice", '"" is not a valid choice.', id="5.8-mode-empty"),
            pytest.param("branch", "", "blank", BLANK, id="5.8-branch-empty"),
            pytest.param("branch", "  ", "blank", BLANK, id="5.8-branch-blank"),
            pytest.param(
                "branch",
                "x" * 256,
                "max_length",
                "Ensure this field has no more than 255 characters.",
                id="5.8-branch-too-long",
            ),
            pytest.param("branch", [], "invalid_input", "Not a valid string.", id="5.8-branch-list"),
            pytest.param(
                "resume_from_run_id", "x", "invalid_input", "Must be a valid UUID.", id="5.8-resume"
            ),
            pytest.param(
                "resume_from_run_id", 5, "invalid_input", "Must be a valid UUID.", id="5.8-resume-number"
            ),
            pytest.param(
                "sandbox_environment_id", "", "invalid_input", "Must be a valid UUID.", id="5.8-sandbox"
            ),
            pytest.param(
                "pending_user_message", {}, "invalid_input", "Not a valid string.", id="5.8-message"
            ),
            pytest.param(
                "pending_user_artifact_ids",
                "x",
                "not_a_list",
                'Expected a list of items but got type "str".',
                id="5.8-artifacts",
            ),
            pytest.param(
                "pr_authorship_mode", "x", "invalid_choice", '"x" is not a valid choice.', id="5.8-authorship"
            ),
            pytest.param("run_source", "x", "invalid_choice", '"x" is not a valid choice.', id="5.8-source"),
            pytest.param("signal_report_id", "", "blank", BLANK, id="5.8-report"),
            pytest.param(
                "runtime_adapter", "x", "invalid_choice", '"x" is not a valid choice.', id="5.8-adapter"
            ),
            pytest.param(
                "runtime_adapter",
                "runbook",
                "invalid_choice",
                '"runbook" is not a valid choice.',
                id="5.8-built-in-agent-has-no-name-on-the-wire",
            ),
            pytest.param(
                "reasoning_effort", "x", "invalid_choice", '"x" is not a valid choice.', id="5.8-effort"
            ),
            pytest.param("github_user_token", " ", "blank", BLANK, id="5.8-token"),
            pytest.param(
                "initial_permission_mode",
                "x",
                "invalid_choice",
                '"x" is not a valid choice.',
                id="5.8-permission",
            ),
        ],
    )
    async def test_wrong_value_is_refused(
        self, client: httpx.AsyncClient, run_url: str, field: str, value: Any, code: str, detail: str
    ) -> None:
        assert_invalid(await client.post(run_url, json={field: value}), field, code, detail)

    @pytest.mark.parametrize(
        ("items", "index", "code", "detail"),
        [
            pytest.param([""], 0, "blank", BLANK, id="5.8-blank"),
            pytest.param(["a", None], 1, "null", NULL, id="5.8-null"),
            pytest.param(["a", "b", []], 2, "invalid_input", "Not a valid string.", id="5.8-list"),
            pytest.param(
                ["x" * 129],
                0,
                "max_length",
                "Ensure this field has no more than 128 characters.",
                id="5.8-long",
            ),
        ],
    )
    async def test_wrong_item_is_named(
        self, client: httpx.AsyncClient, run_url: str, items: list[Any], index: int, code: str, detail: str
    ) -> None:
        response = await client.post(run_url, json={"pending_user_artifact_ids": items})
        assert_invalid(response, f"pending_user_artifact_ids__{index}", code, detail)

    async def test_first_wrong_field_in_declared_order_is_reported(
        self, client: httpx.AsyncClient, run_url: str
    ) -> None:
        body = {"initial_permission_mode": "x", "run_source": "x", "branch": "", "reasoning_effort": "x"}
        assert_invalid(await client.post(run_url, json=body), "branch", "blank")

    @pytest.mark.parametrize("message", ["", "   ", "\n"])
    async def test_blank_message_is_the_same_as_none(
        self, client: httpx.AsyncClient, run_url: str, message: str
    ) -> None:
        run = await started(client, run_url, {"pending_user_message": message})
        assert run["state"] == {"mode": "background"}

    async def test_unknown_and_later_keys_are_ignored(self, client: httpx.AsyncClient, run_url: str) -> None:
        run = await started(client, run_url, {"runtime": {"x": 1}, "status": "completed", "state": {"a": 1}})
        assert (run["status"], run["state"]) == ("queued", {"mode": "background"})


class TestState:
    """Which keys the state of a new run has (contract 9.1); what has no value is absent."""

    @pytest.mark.parametrize(
        ("body", "state"),
        [
            pytest.param({}, {"mode": "background"}, id="9.1-default"),
            pytest.param({"mode": "interactive"}, {"mode": "interactive"}, id="9.1-mode"),
            pytest.param(
                {"branch": " feature/x "},
                {"mode": "background", "pr_base_branch": "feature/x"},
                id="9.1-branch",
            ),
            pytest.param(
                {"pending_user_message": " go on "},
                {"mode": "background", "pending_user_message": "go on"},
                id="9.1-message",
            ),
            pytest.param({"pending_user_artifact_ids": []}, {"mode": "background"}, id="9.1-no-artifacts"),
            pytest.param(
                {"pr_authorship_mode": "bot"},
                {"mode": "background", "pr_authorship_mode": "bot"},
                id="9.1-bot",
            ),
            pytest.param(
                {"run_source": "manual"}, {"mode": "background", "run_source": "manual"}, id="9.1-manual"
            ),
            pytest.param(
                {"run_source": "signal_report", "signal_report_id": "r1"},
                {
                    "mode": "background",
                    "run_source": "signal_report",
                    "signal_report_id": "r1",
                    "pr_authorship_mode": "bot",
                },
                id="5.8-source-forces-bot",
            ),
            pytest.param(
                {"run_source": "signal_report", "pr_authorship_mode": "user"},
                {"mode": "background", "run_source": "signal_report", "pr_authorship_mode": "bot"},
                id="5.8-source-forces-bot-over-the-request",
            ),
            pytest.param(
                {**CLAUDE, "reasoning_effort": "xhigh", "initial_permission_mode": "plan"},
                {
                    "mode": "background",
                    **CLAUDE,
                    "provider": "anthropic",
                    "reasoning_effort": "xhigh",
                    "initial_permission_mode": "plan",
                },
                id="9.1-claude",
            ),
            pytest.param(CODEX, {"mode": "background", **CODEX, "provider": "openai"}, id="9.1-codex"),
            pytest.param(
                {"pr_authorship_mode": "user", "github_user_token": "ghu_secret"},
                {
                    "mode": "background",
                    "pr_authorship_mode": "user",
                    "github_credential_source": "caller_token",
                },
                id="9.1-caller-token",
            ),
        ],
    )
    async def test_has_what_was_asked_for(
        self, client: httpx.AsyncClient, run_url: str, body: Json, state: Json
    ) -> None:
        run = await started(client, run_url, body)
        assert run["state"] == state
        assert run["branch"] == state.get("pr_base_branch")
        for key in ("runtime_adapter", "provider", "model", "reasoning_effort"):
            assert run[key] == state.get(key)

    @pytest.mark.parametrize(
        "authorship", [{}, {"pr_authorship_mode": "user"}, {"pr_authorship_mode": "bot"}]
    )
    async def test_token_is_neither_stored_nor_shown_nor_queued(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        run_url: str,
        queue: RecordingQueue,
        caplog: pytest.LogCaptureFixture,
        authorship: Json,
    ) -> None:
        """Contract 3.3."""
        caplog.set_level("DEBUG", logger="app")
        response = await client.post(run_url, json={"github_user_token": "ghu_secret", **authorship})
        assert response.status_code == 200
        stored = (await session.execute(select(Run.__table__))).one()
        for text in (response.text, repr(stored), repr(queue.jobs), caplog.text):
            assert "ghu_secret" not in text


REQUIRED = "This field is required when selecting a cloud runtime."
EFFORTS = ("low", "medium", "high", "xhigh", "max")


class TestRuntime:
    """Contract 9.3."""

    @pytest.mark.parametrize(
        ("body", "attr", "detail"),
        [
            pytest.param({"model": "m"}, "runtime_adapter", REQUIRED, id="9.3-model-alone"),
            pytest.param({"reasoning_effort": "low"}, "runtime_adapter", REQUIRED, id="9.3-effort-alone"),
            pytest.param({"runtime_adapter": "claude"}, "model", REQUIRED, id="9.3-adapter-alone"),
            pytest.param(
                {"runtime_adapter": "codex", "reasoning_effort": "low"}, "model", REQUIRED, id="9.3-no-model"
            ),
            pytest.param(
                {"initial_permission_mode": "auto"},
                "initial_permission_mode",
                "This field requires runtime_adapter to be set.",
                id="9.3-permission-alone",
            ),
            pytest.param(
                {**CLAUDE, "initial_permission_mode": "read-only"},
                "initial_permission_mode",
                "Invalid choice 'read-only' for runtime_adapter 'claude'. Supported values: "
                "'default', 'acceptEdits', 'plan', 'bypassPermissions', 'auto'.",
                id="9.3-claude-permissions",
            ),
            pytest.param(
                {**CODEX, "initial_permission_mode": "plan"},
                "initial_permission_mode",
                "Invalid choice 'plan' for runtime_adapter 'codex'. Supported values: "
                "'auto', 'read-only', 'full-access'.",
                id="9.3-codex-permissions",
            ),
        ],
    )
    async def test_options_that_do_not_go_together_are_refused(
        self, client: httpx.AsyncClient, run_url: str, body: Json, attr: str, detail: str
    ) -> None:
        assert_invalid(await client.post(run_url, json=body), attr, "invalid_input", detail)

    @pytest.mark.parametrize(
        ("options", "mode"),
        [
            *((CLAUDE, mode) for mode in ("default", "acceptEdits", "plan", "bypassPermissions", "auto")),
            *((CODEX, mode) for mode in ("auto", "read-only", "full-access")),
        ],
        ids=repr,
    )
    async def test_permission_modes_of_each_adapter_are_taken(
        self, client: httpx.AsyncClient, run_url: str, options: Json, mode: str
    ) -> None:
        run = await started(client, run_url, {**options, "initial_permission_mode": mode})
        assert run["state"]["initial_permission_mode"] == mode

    @pytest.mark.parametrize(
        ("adapter", "model", "supported"),
        [
            pytest.param("codex", "gpt-5", EFFORTS[:3], id="9.3-codex"),
            pytest.param("codex", "anything", EFFORTS[:3], id="9.3-codex-free-text"),
            pytest.param("codex", "gpt-5.5", EFFORTS[:4], id="9.3-gpt-5.5"),
            pytest.param("codex", "gpt-5.6-codex", EFFORTS, id="9.3-gpt-5.6"),
            pytest.param("claude", "claude-opus-4-5", EFFORTS[:3], id="9.3-opus-4-5"),
            pytest.param("claude", "claude-opus-4-6", EFFORTS, id="9.3-opus-4-6"),
            pytest.param("claude", "claude-opus-4-7", EFFORTS, id="9.3-opus-4-7"),
            pytest.param("claude", "claude-fable-5", EFFORTS, id="9.3-fable-5"),
            pytest.param("claude", "claude-sonnet-4-6", EFFORTS[:3], id="9.3-sonnet-4-6"),
            pytest.param("claude", "claude-sonnet-5", EFFORTS[:3], id="9.3-sonnet-5"),
            pytest.param("claude", "claude-haiku-4-5", (), id="9.3-unknown-claude"),
        ],
    )
    async def test_efforts_of_each_model(
        self, client: httpx.AsyncClient, run_url: str, adapter: str, model: str, supported: tuple[str, ...]
    ) -> None:
        words = ", ".join(supported) or "none"
        for effort in EFFORTS:
            body = {"runtime_adapter": adapter, "model": model, "reasoning_effort": effort}
            if effort in supported:
                assert (await started(client, run_url, body))["reasoning_effort"] == effort
                continue
            detail = (
                f"Reasoning effort '{effort}' is not supported for runtime_adapter '{adapter}' "
                f"and model '{model}'. Supported values: {words}."
            )
            response = await client.post(run_url, json=body)
            assert_invalid(response, "reasoning_effort", "invalid_input", detail)


# Contract 9.2, the two columns of its table.
INHERITED: Json = {
    "pr_authorship_mode": "bot",
    "run_source": "manual",
    "signal_report_id": "r1",
    "runtime_adapter": "codex",
    "model": "gpt-5.5",
    "reasoning_effort": "xhigh",
    "pr_base_branch": "main",
    "snapshot_external_id": "snapshot-1",
}
NOT_INHERITED: Json = {
    "mode": "interactive",
    "initial_permission_mode": "auto",
    "pending_user_message": "earlier words",
    "pending_user_artifact_ids": ["a"],
    "github_credential_source": "caller_token",
    "agent_started_at": "2026-03-01T10:00:00+00:00",
    "provider": "openai",
    "sandbox_environment_id": UNKNOWN,
    "sandbox_id": "box-1",
}


class TestResume:
    """Contract 9.2."""

    @pytest.mark.parametrize("status", list(RunStatus))
    async def test_takes_over_what_the_request_does_not_say(
        self, client: httpx.AsyncClient, session: AsyncSession, task: Task, run_url: str, status: RunStatus
    ) -> None:
        """From a run of any status."""
        previous = await make_run(session, task=task, status=status, state=INHERITED | NOT_INHERITED)
        run = await started(client, run_url, {"resume_from_run_id": str(previous.id)})
        assert run["state"] == {
            **INHERITED,
            "mode": "background",
            "provider": "openai",
            "resume_from_run_id": str(previous.id),
        }
        assert run["branch"] == "main"

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            pytest.param({"branch": "other"}, {"pr_base_branch": "other"}, id="9.2-branch"),
            pytest.param({"branch": None}, {"pr_base_branch": "main"}, id="9.2-null-branch-is-silence"),
            pytest.param({"run_source": "manual"}, {"run_source": "manual"}, id="9.2-source"),
            pytest.param({"signal_report_id": "r2"}, {"signal_report_id": "r2"}, id="9.2-report"),
            pytest.param(
                {"runtime_adapter": "claude", "model": "claude-fable-5"},
                {"runtime_adapter": "claude", "model": "claude-fable-5", "provider": "anthropic"},
                id="9.2-runtime",
            ),
            pytest.param({"mode": "interactive"}, {"mode": "interactive"}, id="9.2-mode"),
        ],
    )
    async def test_request_outranks_the_previous_run(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        task: Task,
        run_url: str,
        body: Json,
        expected: Json,
    ) -> None:
        previous = await make_run(session, task=task, state=INHERITED)
        run = await started(client, run_url, {"resume_from_run_id": str(previous.id), **body})
        inherited = {"mode": "background", "provider": "openai", "resume_from_run_id": str(previous.id)}
        assert run["state"] == {**INHERITED, **inherited, **expected}

    async def test_effort_is_checked_against_the_merged_runtime(
        self, client: httpx.AsyncClient, session: AsyncSession, task: Task, run_url: str
    ) -> None:
        """The inherited effort does not suit the requested model."""
        state = {"runtime_adapter": "claude", "model": "claude-opus-4-6", "reasoning_effort": "max"}
        previous = await make_run(session, task=task, state=state)
        body = {"resume_from_run_id": str(previous.id), "runtime_adapter": "codex", "model": "gpt-5"}
        detail = (
            "Reasoning effort 'max' is not supported for runtime_adapter 'codex' and model 'gpt-5'. "
            "Supported values: low, medium, high."
        )
        response = await client.post(run_url, json=body)
        assert_invalid(response, "reasoning_effort", "invalid_input", detail)

    async def test_request_alone_must_be_complete(
        self, client: httpx.AsyncClient, session: AsyncSession, task: Task, run_url: str
    ) -> None:
        """Field rules look at the request only: the inherited adapter does not help."""
        previous = await make_run(session, task=task, state=INHERITED)
        body = {"resume_from_run_id": str(previous.id), "reasoning_effort": "low"}
        response = await client.post(run_url, json=body)
        assert_invalid(response, "runtime_adapter", "invalid_input", REQUIRED)

    async def test_inherited_source_does_not_force_bot_again(
        self, client: httpx.AsyncClient, session: AsyncSession, task: Task, run_url: str
    ) -> None:
        previous = await make_run(session, task=task, state={"run_source": "signal_report"})
        body = {
            "resume_from_run_id": str(previous.id),
            "pr_authorship_mode": "user",
            "github_user_token": "ghu_x",
        }
        assert (await started(client, run_url, body))["state"]["pr_authorship_mode"] == "user"

    @pytest.mark.parametrize("value", [None, 5, [], {}, "", True], ids=repr)
    async def test_malformed_state_counts_as_absent(
        self, client: httpx.AsyncClient, session: AsyncSession, task: Task, run_url: str, value: Any
    ) -> None:
        """Contract 11 #17."""
        previous = await make_run(session, task=task, state=dict.fromkeys(INHERITED, value))
        run = await started(client, run_url, {"resume_from_run_id": str(previous.id)})
        assert run["state"] == {"mode": "background", "resume_from_run_id": str(previous.id)}

    @pytest.mark.parametrize(
        "state",
        [
            {"runtime_adapter": "unknown", "model": "m", "reasoning_effort": "low"},
            {"runtime_adapter": "codex", "model": "gpt-5.5", "reasoning_effort": "tremendous"},
            {"pr_authorship_mode": "somebody"},
        ],
        ids=repr,
    )
    async def test_nonsense_in_the_state_never_fails_the_service(
        self, client: httpx.AsyncClient, session: AsyncSession, task: Task, run_url: str, state: Json
    ) -> None:
        previous = await make_run(session, task=task, state=state)
        response = await client.post(run_url, json={"resume_from_run_id": str(previous.id)})
        assert response.status_code in {200, 400}

    async def test_run_of_another_task_is_invalid(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User, run_url: str
    ) -> None:
        other = await make_run(session, task=await make_task(session, project=project, created_by=owner))
        for identifier in (str(other.id), UNKNOWN):
            response = await client.post(run_url, json={"resume_from_run_id": identifier})
            assert response.status_code == 400
            assert response.json() == {"detail": "Invalid resume_from_run_id"}


AS_USER: Json = {"pr_authorship_mode": "user"}


class TestAuthorship:
    """Contract 5.8 step 6, in the order of 13.3."""

    def assert_unauthorized(self, response: httpx.Response, detail: str) -> None:
        assert_invalid(response, "pr_authorship_mode", "github_authorization_required", detail)

    @pytest.mark.caller(CallerKind.MEMBER)
    async def test_other_than_the_creator_needs_a_token(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User, tasks_url: str
    ) -> None:
        await make_user_integration(session, user=owner)
        await make_integration(session, project=project)
        shared = await make_task(
            session, project=project, created_by=owner, origin_product=OriginProduct.HOGDESK
        )
        url = f"{tasks_url}/{shared.id}/run"
        detail = "User-authored runs must be started by the task creator, or provide github_user_token."
        self.assert_unauthorized(await client.post(url, json=AS_USER), detail)
        run = await started(client, url, {**AS_USER, "github_user_token": "ghu_x"})
        assert run["state"]["github_credential_source"] == "caller_token"

    async def test_linked_account_of_the_creator_is_used(
        self, client: httpx.AsyncClient, session: AsyncSession, owner: User, run_url: str
    ) -> None:
        await make_user_integration(session, user=owner)
        run = await started(client, run_url, AS_USER)
        assert run["state"] == {
            "mode": "background",
            "pr_authorship_mode": "user",
            "github_credential_source": "server_integration",
        }

    async def test_integration_of_the_project_falls_back_to_bot(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, run_url: str
    ) -> None:
        await make_integration(session, project=project)
        run = await started(client, run_url, AS_USER)
        assert run["state"] == {"mode": "background", "pr_authorship_mode": "bot"}

    async def test_without_any_account_the_creator_must_link_one(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User, run_url: str
    ) -> None:
        """Integrations of others, or with other services, do not count."""
        await make_user_integration(session, user=await make_user(session, projects=[project]))
        await make_user_integration(session, user=owner, kind="gitlab")
        await make_integration(session, project=project, kind="slack")
        detail = "Link a GitHub account with repo access before running user-authored cloud tasks."
        self.assert_unauthorized(await client.post(run_url, json=AS_USER), detail)

    async def test_inherited_wish_is_checked_too(
        self, client: httpx.AsyncClient, session: AsyncSession, task: Task, run_url: str
    ) -> None:
        previous = await make_run(session, task=task, state=AS_USER)
        response = await client.post(run_url, json={"resume_from_run_id": str(previous.id)})
        detail = "Link a GitHub account with repo access before running user-authored cloud tasks."
        self.assert_unauthorized(response, detail)


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
