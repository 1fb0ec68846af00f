"""What an adapter makes of the options of a run and of the worker's environment."""

from typing import Any

import pytest

from app.agents.adapters.adapter import Adapter, AgentOptions, WorkspaceAccess
from app.agents.adapters.catalog import load_catalog


def adapter(**fields: Any) -> Adapter:
    return Adapter.model_validate({"name": "x", "command": ["x"], "install": "Install x.", **fields})


def test_settings_are_filled_and_left_out_without_a_value() -> None:
    made = adapter(
        environment=["URL", "KEY"],
        settings={"A": "${model}", "B": "${URL:-http://default}/x", "C": "${KEY}", "D": "$model {}"},
    )

    assert made.variables(AgentOptions(model="m"), {"OTHER": "1"}) == {
        "A": "m",
        "B": "http://default/x",
        "D": "$model {}",
    }
    assert made.variables(AgentOptions(), {"URL": "http://u", "KEY": "k"}) == {
        "URL": "http://u",
        "KEY": "k",
        "B": "http://u/x",
        "C": "k",
        "D": "$model {}",
    }


def test_files_hold_quoted_values_and_no_line_without_one() -> None:
    content = 'model = "${model}"\neffort = "${effort}"\nlast = 1\n'
    made = adapter(files=[{"path": ".x/config.toml", "content": content}])

    files = made.home_files(AgentOptions(model='a"b\\\nc = 1'), {})

    assert files == {".x/config.toml": 'model = "a\\"b\\\\\\nc = 1"\nlast = 1\n'}


def test_mode_of_the_wire_is_translated_or_the_adapters_default() -> None:
    codex = load_catalog().find("codex")

    read_only, none = codex.mode_rule(AgentOptions(mode="read-only")), codex.mode_rule(AgentOptions())

    assert read_only is not None
    assert (read_only.mode, read_only.workspace) == ("agent-full-access", WorkspaceAccess.READ_ONLY)
    assert none is not None
    assert (none.mode, none.workspace) == ("agent-full-access", WorkspaceAccess.WRITABLE)
    assert adapter().mode_rule(AgentOptions(mode="plan")) is None


def test_model_service_is_where_the_worker_says() -> None:
    service = load_catalog().find("claude").model_service

    assert service is not None
    assert service.url({}) == "https://api.anthropic.com"
    assert service.url({"ANTHROPIC_BASE_URL": "http://gateway:8080"}) == "http://gateway:8080"


def test_adapter_reports_which_options_its_agent_gets_at_the_start() -> None:
    made = adapter(settings={"MODEL": "${model}"}, files=[{"path": "x", "content": "mode=${mode:-none}"}])

    assert [wish for wish in ("model", "mode", "effort") if made.conveys(wish)] == ["model", "mode"]


@pytest.mark.parametrize(
    ("keys", "environment", "lacks"),
    [
        (["A", "B"], {}, True),
        (["A", "B"], {"A": "", "B": "x"}, False),
        (["A"], {"A": ""}, True),
        (["C"], {}, False),  # which it would not see
        ([], {}, False),
    ],
)
def test_missing_key_is_noticed(keys: list[str], environment: dict[str, str], *, lacks: bool) -> None:
    assert adapter(keys=keys, environment=["A", "B"]).lacks_key(environment) is lacks
