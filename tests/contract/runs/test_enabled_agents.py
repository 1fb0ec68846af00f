"""Agents beyond the contract's two, enabled by an operator (contract 5.8, 9.3: the same rules hold for all)."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.agents.adapters.catalog import load_catalog
from app.runtime import ProcessContext
from tests.support.assertions import assert_invalid, concerning

CATALOG = """
enable = ["opencode"]

[adapters.goose]
command = ["goose", "acp"]
install = "Install goose."
provider = "block"
permission_modes = { plan = "chat" }
models = [{ name = "deep-1", display_name = "Deep 1" }]
efforts = [{ models = "deep-.+", efforts = ["low", "max"] }]
"""


@pytest.fixture(autouse=True)
def enabled(application: FastAPI, process: ProcessContext, tmp_path: Path) -> None:
    file = tmp_path / "agents.toml"
    file.write_text(CATALOG)
    application.state.process = replace(process, catalog=load_catalog(file))


async def test_enabled_agent_may_be_asked_for(client: httpx.AsyncClient, task_url: str) -> None:
    wish = {"runtime_adapter": "goose", "model": "deep-1", "reasoning_effort": "max"}

    response = await client.post(f"{task_url}/run", json={**wish, "initial_permission_mode": "plan"})

    state: dict[str, Any] = response.json()["latest_run"]["state"]
    assert {key: state.get(key) for key in wish} == wish
    assert (state["provider"], state["initial_permission_mode"]) == ("block", "plan")


async def test_agent_without_a_provider_has_none(client: httpx.AsyncClient, task_url: str) -> None:
    response = await client.post(f"{task_url}/runs", json={"runtime_adapter": "opencode", "model": "a/b"})

    assert response.status_code == 201
    assert "provider" not in response.json()["state"]


async def test_models_of_enabled_agents_are_listed(client: httpx.AsyncClient, tasks_url: str) -> None:
    rows = (await client.get(f"{tasks_url}/models")).json()["models"]

    deep = {"model": "deep-1", "display_name": "Deep 1", "supported_efforts": ["low", "max"]}
    assert {"runtime_adapter": "goose", **deep} in rows
    assert {row["runtime_adapter"] for row in rows} == {"claude", "codex", "goose"}, "gemini is not enabled"


GOOSE = {"runtime_adapter": "goose"}


async def test_rules_of_the_contract_hold_for_enabled_agents(
    client: httpx.AsyncClient, task_url: str
) -> None:
    for body, attr, code, detail in (
        (
            {"runtime_adapter": "gemini"},
            "runtime_adapter",
            "invalid_choice",
            '"gemini" is not a valid choice.',
        ),
        ({"runtime_adapter": ""}, "runtime_adapter", "invalid_choice", '"" is not a valid choice.'),
        (GOOSE, "model", "invalid_input", "This field is required when selecting a cloud runtime."),
        (
            GOOSE | {"model": "m", "initial_permission_mode": "auto"},
            "initial_permission_mode",
            "invalid_input",
            "Invalid choice 'auto' for runtime_adapter 'goose'. Supported values: 'plan'.",
        ),
        (
            GOOSE | {"model": "m", "reasoning_effort": "low"},
            "reasoning_effort",
            "invalid_input",
            (
                "Reasoning effort 'low' is not supported for runtime_adapter 'goose' and model 'm'. "
                "Supported values: none."
            ),
        ),
    ):
        with concerning(body):
            assert_invalid(await client.post(f"{task_url}/run", json=body), attr, code, detail)
