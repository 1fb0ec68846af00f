"""The fields of a request to run a task (contract 5.8), and what becomes of them in the state of the run (9.1)."""

from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Run
from tests.support.assertions import assert_invalid, concerning
from tests.support.runs import CLAUDE, CODEX, started
from tests.support.stand_ins.fakes import RecordingQueue

Json = dict[str, Any]
NULL = "This field may not be null."
BLANK = "This field may not be blank."


REPORT = {"run_source": "signal_report"}
OPTIONS = {"reasoning_effort": "xhigh", "initial_permission_mode": "plan"}
NO_CHOICE = '"x" is not a valid choice.'
NO_UUID = "Must be a valid UUID."
NO_STRING = "Not a valid string."
# The fields of contract 5.8 that cannot be null.
NOT_NULL = (
    *("mode", "resume_from_run_id", "pending_user_message", "pending_user_artifact_ids", "run_source"),
    *("sandbox_environment_id", "pr_authorship_mode", "signal_report_id", "runtime_adapter", "model"),
    *("reasoning_effort", "github_user_token", "initial_permission_mode", "token_budget"),
)
CHOICES = (
    "mode",
    "pr_authorship_mode",
    "run_source",
    "runtime_adapter",
    "reasoning_effort",
    "initial_permission_mode",
)
# A field, a wrong value, the code and the words of its refusal.
WRONG: list[tuple[str, Any, str, str]] = [
    *((field, None, "null", NULL) for field in NOT_NULL),
    *((field, "x", "invalid_choice", NO_CHOICE) for field in CHOICES),
    ("mode", "", "invalid_choice", '"" is not a valid choice.'),
    # The built-in agent has no name on the wire.
    ("runtime_adapter", "runbook", "invalid_choice", '"runbook" is not a valid choice.'),
    ("token_budget", 0, "min_value", "Ensure this value is greater than or equal to 1."),
    ("token_budget", "x", "invalid_input", "A valid integer is required."),
    ("token_budget", 10**16, "max_value", f"Ensure this value is less than or equal to {10**15}."),
    *((field, "", "blank", BLANK) for field in ("branch", "signal_report_id")),
    *((field, " ", "blank", BLANK) for field in ("branch", "github_user_token")),
    ("branch", "x" * 256, "max_length", "Ensure this field has no more than 255 characters."),
    ("branch", [], "invalid_input", NO_STRING),
    ("resume_from_run_id", "x", "invalid_input", NO_UUID),
    ("resume_from_run_id", 5, "invalid_input", NO_UUID),
    ("sandbox_environment_id", "", "invalid_input", NO_UUID),
    ("pending_user_message", {}, "invalid_input", NO_STRING),
    ("pending_user_artifact_ids", "x", "not_a_list", 'Expected a list of items but got type "str".'),
]
# A list with one wrong item, its index, the code and the words of its refusal.
WRONG_ITEMS: list[tuple[list[Any], int, str, str]] = [
    ([""], 0, "blank", BLANK),
    (["a", None], 1, "null", NULL),
    (["a", "b", []], 2, "invalid_input", NO_STRING),
    (["x" * 129], 0, "max_length", "Ensure this field has no more than 128 characters."),
]


class TestFields:
    """The table of contract 5.8."""

    async def test_branch_may_be_null(self, client: httpx.AsyncClient, run_url: str) -> None:
        run = await started(client, run_url, {"branch": None})
        assert (run["branch"], run["state"]) == (None, {"mode": "background"})

    async def test_wrong_value_is_refused(self, client: httpx.AsyncClient, run_url: str) -> None:
        for field, value, code, detail in WRONG:
            with concerning(f"{field}: {value!r}"):
                assert_invalid(await client.post(run_url, json={field: value}), field, code, detail)
        field = "pending_user_artifact_ids"
        for items, index, code, detail in WRONG_ITEMS:
            with concerning(items):
                response = await client.post(run_url, json={field: items})
                assert_invalid(response, f"{field}__{index}", code, detail)

    async def test_first_wrong_field_in_declared_order_is_reported(
        self, client: httpx.AsyncClient, run_url: str
    ) -> None:
        body = {"initial_permission_mode": "x", "run_source": "x", "branch": "", "reasoning_effort": "x"}
        assert_invalid(await client.post(run_url, json=body), "branch", "blank")

    async def test_blank_message_is_the_same_as_none(self, client: httpx.AsyncClient, run_url: str) -> None:
        for message in ("", "   ", "\n"):
            run = await started(client, run_url, {"pending_user_message": message})
            assert run["state"] == {"mode": "background"}

    async def test_unknown_and_later_keys_are_ignored(self, client: httpx.AsyncClient, run_url: str) -> None:
        run = await started(client, run_url, {"runtime": {"x": 1}, "status": "completed", "state": {"a": 1}})
        assert (run["status"], run["state"]) == ("queued", {"mode": "background"})


# What a request asks for, and what the state of its run has beside the mode "background" (contract 9.1).
STATES: list[tuple[Json, Json]] = [
    ({}, {}),
    ({"mode": "interactive"}, {"mode": "interactive"}),
    ({"branch": " feature/x "}, {"pr_base_branch": "feature/x"}),
    ({"pending_user_message": " go on "}, {"pending_user_message": "go on"}),
    ({"pending_user_artifact_ids": []}, {}),
    ({"pr_authorship_mode": "bot"}, {"pr_authorship_mode": "bot"}),
    ({"run_source": "manual"}, {"run_source": "manual"}),
    # This source forces the bot (5.8), also over the request.
    ({**REPORT, "signal_report_id": "r1"}, {**REPORT, "signal_report_id": "r1", "pr_authorship_mode": "bot"}),
    ({**REPORT, "pr_authorship_mode": "user"}, {**REPORT, "pr_authorship_mode": "bot"}),
    ({**CLAUDE, **OPTIONS}, {**CLAUDE, "provider": "anthropic", **OPTIONS}),
    (CODEX, {**CODEX, "provider": "openai"}),
    (
        {"pr_authorship_mode": "user", "github_user_token": "ghu_secret"},
        {"pr_authorship_mode": "user", "github_credential_source": "caller_token"},
    ),
]


class TestState:
    """Keys in the state of a new run (contract 9.1); a field without a value is absent."""

    async def test_has_what_was_asked_for(self, client: httpx.AsyncClient, run_url: str) -> None:
        for body, state in STATES:
            run = await started(client, run_url, body)
            with concerning(body):
                assert run["state"] == {"mode": "background", **state}
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
