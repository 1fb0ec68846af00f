"""The fields of a request to run a task (contract 5.8), and what becomes of them in the state of the run (9.1)."""

from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Run
from tests.support.assertions import assert_invalid
from tests.support.fakes import RecordingQueue
from tests.support.runs import CLAUDE, CODEX, started

Json = dict[str, Any]
NULL = "This field may not be null."
BLANK = "This field may not be blank."


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
            "token_budget",
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
            pytest.param(
                "token_budget",
                0,
                "min_value",
                "Ensure this value is greater than or equal to 1.",
                id="budget-of-nothing",
            ),
            pytest.param(
                "token_budget", "x", "invalid_input", "A valid integer is required.", id="budget-word"
            ),
            pytest.param(
                "token_budget",
                10**16,
                "max_value",
                f"Ensure this value is less than or equal to {10**15}.",
                id="budget-too-large",
            ),
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
