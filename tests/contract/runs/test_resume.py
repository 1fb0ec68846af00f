"""Inheritance of a run from the one that it resumes (contract 9.2)."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import RunStatus
from app.models import Run
from tests.support.assertions import assert_invalid, concerning
from tests.support.factories import make_run
from tests.support.makers import NewRun, NewTask
from tests.support.runs import CLAUDE, UNKNOWN

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


Resume = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def resume(client: httpx.AsyncClient, new_run: NewRun, run_url: str) -> Resume:
    """Make a run with this state, and ask for one that resumes it."""

    async def resume(state: Json, *, status: RunStatus = RunStatus.QUEUED, **body: Any) -> httpx.Response:
        previous = await new_run(status=status, state=state)
        return await client.post(run_url, json={"resume_from_run_id": str(previous.id), **body})

    return resume


def run_of(response: httpx.Response) -> tuple[Json, Json]:
    """Return the new run, and its state without what only waiting runs have and without the run it resumes."""
    assert response.status_code == 200, response.text
    run: Json = response.json()["latest_run"]
    state = dict(run["state"])
    assert (state.pop("queue_position") >= 1, state.pop("waits_for")) == (True, "slot")
    assert state.pop("resume_from_run_id")
    return run, state


TAKEN_OVER: Json = {**INHERITED, "mode": "background", "provider": "openai"}


async def test_takes_over_what_the_request_does_not_say(resume: Resume) -> None:
    """Runs of any status can be resumed."""
    for status in RunStatus:
        run, state = run_of(await resume(INHERITED | NOT_INHERITED, status=status))
        with concerning(status):
            assert (run["branch"], state) == ("main", TAKEN_OVER)


async def test_state_names_the_run_that_is_resumed(client: httpx.AsyncClient, run: Run, run_url: str) -> None:
    response = await client.post(run_url, json={"resume_from_run_id": str(run.id)})
    assert response.json()["latest_run"]["state"]["resume_from_run_id"] == str(run.id)


async def test_request_outranks_the_previous_run(resume: Resume) -> None:
    runtime = {"runtime_adapter": "claude", "model": "claude-fable-5"}
    bodies: list[tuple[Json, Json]] = [
        ({"branch": "other"}, {"pr_base_branch": "other"}),
        ({"branch": None}, {"pr_base_branch": "main"}),
        ({"run_source": "manual"}, {"run_source": "manual"}),
        ({"signal_report_id": "r2"}, {"signal_report_id": "r2"}),
        (runtime, {**runtime, "provider": "anthropic"}),
        ({"mode": "interactive"}, {"mode": "interactive"}),
    ]
    for body, expected in bodies:
        with concerning(body):
            assert run_of(await resume(INHERITED, **body))[1] == TAKEN_OVER | expected


async def test_effort_is_checked_against_the_merged_runtime(resume: Resume) -> None:
    """The inherited effort does not suit the requested model."""
    detail = (
        "Reasoning effort 'max' is not supported for runtime_adapter 'codex' and model 'gpt-5'. "
        "Supported values: low, medium, high."
    )
    response = await resume({**CLAUDE, "reasoning_effort": "max"}, runtime_adapter="codex", model="gpt-5")
    assert_invalid(response, "reasoning_effort", "invalid_input", detail)


async def test_request_alone_must_be_complete(resume: Resume) -> None:
    """Field rules look at the request only: the inherited adapter does not help."""
    response = await resume(INHERITED, reasoning_effort="low")
    assert_invalid(response, "runtime_adapter", "invalid_input", REQUIRED)


async def test_inherited_source_does_not_force_bot_again(resume: Resume) -> None:
    own: Json = {"pr_authorship_mode": "user", "github_user_token": "ghu_x"}
    _, state = run_of(await resume({"run_source": "signal_report"}, **own))
    assert state["pr_authorship_mode"] == "user"


async def test_malformed_state_counts_as_absent(resume: Resume) -> None:
    """Contract 11 #17: a client may write anything into the state of its run."""
    values: tuple[Any, ...] = (None, 0, 2.5, [], {}, "", True)
    # A branch that no request could name is none either.
    for state in (*(dict.fromkeys(INHERITED, value) for value in values), {"pr_base_branch": "b" * 256}):
        run, taken = run_of(await resume(state))
        with concerning(state):
            assert (run["branch"], taken) == (None, {"mode": "background"})


async def test_nonsense_in_the_state_never_fails_the_service(resume: Resume) -> None:
    for state in (
        {"runtime_adapter": "unknown", "model": "m", "reasoning_effort": "low"},
        {"runtime_adapter": "codex", "model": "gpt-5.5", "reasoning_effort": "tremendous"},
        {"pr_authorship_mode": "anyone"},
    ):
        assert (await resume(state)).status_code in {200, 400}


async def test_run_of_another_task_is_invalid(
    client: httpx.AsyncClient, session: AsyncSession, new_task: NewTask, run_url: str
) -> None:
    other = await make_run(session, task=await new_task())
    for identifier in (str(other.id), UNKNOWN):
        response = await client.post(run_url, json={"resume_from_run_id": identifier})
        assert response.status_code == 400
        assert response.json() == {"detail": "Invalid resume_from_run_id"}
