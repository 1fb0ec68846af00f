"""Which agents, models, efforts and permission modes go together (contract 9.3)."""

from typing import Any

import httpx
import pytest

from tests.support.assertions import assert_invalid
from tests.support.runs import CLAUDE, CODEX, started

Json = dict[str, Any]
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
