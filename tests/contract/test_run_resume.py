"""What a run takes over from the one it resumes (contract 9.2)."""

from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import RunStatus
from app.models import Project, Task, User
from tests.support.assertions import assert_invalid
from tests.support.factories import make_run, make_task
from tests.support.runs import UNKNOWN, started

Json = dict[str, Any]
REQUIRED = "This field is required when selecting a cloud runtime."

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
    # Ours.
    "token_budget": 1000,
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

    @pytest.mark.parametrize("value", [None, 0, 2.5, [], {}, "", True], ids=repr)
    async def test_malformed_state_counts_as_absent(
        self, client: httpx.AsyncClient, session: AsyncSession, task: Task, run_url: str, value: Any
    ) -> None:
        """Contract 11 #17."""
        previous = await make_run(session, task=task, state=dict.fromkeys(INHERITED, value))
        run = await started(client, run_url, {"resume_from_run_id": str(previous.id)})
        assert run["state"] == {"mode": "background", "resume_from_run_id": str(previous.id)}

    async def test_branch_that_no_request_could_name_counts_as_absent(
        self, client: httpx.AsyncClient, session: AsyncSession, task: Task, run_url: str
    ) -> None:
        """Contract 11 #17: a client may write anything into the state of its run."""
        previous = await make_run(session, task=task, state={"pr_base_branch": "b" * 256})
        run = await started(client, run_url, {"resume_from_run_id": str(previous.id)})
        assert (run["branch"], "pr_base_branch" in run["state"]) == (None, False)

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
