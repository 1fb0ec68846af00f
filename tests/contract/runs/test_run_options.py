"""Valid combinations of agents, models, efforts and permission modes (contract 9.3)."""

import itertools

import httpx

from tests.support.assertions import assert_invalid, concerning
from tests.support.runs import CLAUDE, CODEX, started

REQUIRED = "This field is required when selecting a cloud runtime."
EFFORTS = ("low", "medium", "high", "xhigh", "max")


MODES = {
    "claude": ("default", "acceptEdits", "plan", "bypassPermissions", "auto"),
    "codex": ("auto", "read-only", "full-access"),
}
# An adapter, a model of it, and the efforts that go with it.
MODELS = (
    *(("codex", model, EFFORTS[:3]) for model in ("gpt-5", "anything")),
    *(("codex", "gpt-5.5", EFFORTS[:4]), ("codex", "gpt-5.6-codex", EFFORTS)),
    *(("claude", model, EFFORTS) for model in ("claude-opus-4-6", "claude-opus-4-7", "claude-fable-5")),
    *(("claude", f"claude-{name}", EFFORTS[:3]) for name in ("opus-4-5", "sonnet-4-6", "sonnet-5")),
    ("claude", "claude-haiku-4-5", ()),
)


async def test_options_that_do_not_go_together_are_refused(client: httpx.AsyncClient, run_url: str) -> None:
    permission = "This field requires runtime_adapter to be set."
    for body, attr, detail in (
        ({"model": "m"}, "runtime_adapter", REQUIRED),
        ({"reasoning_effort": "low"}, "runtime_adapter", REQUIRED),
        ({"runtime_adapter": "claude"}, "model", REQUIRED),
        ({"runtime_adapter": "codex", "reasoning_effort": "low"}, "model", REQUIRED),
        ({"initial_permission_mode": "auto"}, "initial_permission_mode", permission),
    ):
        with concerning(body):
            assert_invalid(await client.post(run_url, json=body), attr, "invalid_input", detail)


async def test_each_adapter_takes_its_own_permission_modes(client: httpx.AsyncClient, run_url: str) -> None:
    for options, wrong in ((CLAUDE, "read-only"), (CODEX, "plan")):
        adapter = options["runtime_adapter"]
        for mode in MODES[adapter]:
            run = await started(client, run_url, {**options, "initial_permission_mode": mode})
            assert run["state"]["initial_permission_mode"] == mode
        response = await client.post(run_url, json={**options, "initial_permission_mode": wrong})
        detail = (
            f"Invalid choice '{wrong}' for runtime_adapter '{adapter}'. Supported values: "
            f"{', '.join(map(repr, MODES[adapter]))}."
        )
        assert_invalid(response, "initial_permission_mode", "invalid_input", detail)


async def test_each_model_takes_its_own_efforts(client: httpx.AsyncClient, run_url: str) -> None:
    for (adapter, model, supported), effort in itertools.product(MODELS, EFFORTS):
        body = {"runtime_adapter": adapter, "model": model, "reasoning_effort": effort}
        with concerning(body):
            if effort in supported:
                assert (await started(client, run_url, body))["reasoning_effort"] == effort
                continue
            detail = (
                f"Reasoning effort '{effort}' is not supported for runtime_adapter '{adapter}' "
                f"and model '{model}'. Supported values: {', '.join(supported) or 'none'}."
            )
            response = await client.post(run_url, json=body)
            assert_invalid(response, "reasoning_effort", "invalid_input", detail)


async def test_each_model_that_is_listed_can_be_used(
    client: httpx.AsyncClient, tasks_url: str, task_url: str
) -> None:
    """Contract 6.8: with each effort that its row has, and with no other."""
    response = await client.get(f"{tasks_url}/models/")
    assert response.status_code == 200
    answer = response.json()
    assert set(answer) == {"models"}
    rows = answer["models"]
    assert len({(row["runtime_adapter"], row["model"]) for row in rows}) == len(rows)
    assert {row["runtime_adapter"] for row in rows} == {"claude", "codex"}
    assert any(row["supported_efforts"] == [] for row in rows)
    for row in rows:
        assert set(row) == {"runtime_adapter", "model", "display_name", "supported_efforts"}
        assert row["display_name"]
        assert row["supported_efforts"] == [
            effort for effort in EFFORTS if effort in row["supported_efforts"]
        ]
        wish = {"runtime_adapter": row["runtime_adapter"], "model": row["model"]}
        assert (await client.post(f"{task_url}/runs", json=wish)).status_code == 201
        for effort in EFFORTS:
            response = await client.post(f"{task_url}/runs", json={**wish, "reasoning_effort": effort})
            with concerning(row | {"effort": effort}):
                if effort in row["supported_efforts"]:
                    assert response.status_code == 201
                else:
                    assert_invalid(response, "reasoning_effort", "invalid_input")
