"""Adapters as data: those of this release, and what an operator's file makes of them."""

import json
import re
from pathlib import Path

import pytest

from app.agents.adapters.catalog import DEFAULT_ADAPTER, Catalog, load_catalog
from app.agents.errors import CatalogInvalid, UnknownAdapter

LOW_TO_HIGH = ("low", "medium", "high")
LOW_TO_XHIGH = (*LOW_TO_HIGH, "xhigh")
LOW_TO_MAX = (*LOW_TO_XHIGH, "max")

GOOSE = """
[adapters.goose]
command = ["goose", "acp"]
install = "Install goose."
"""


def load(tmp_path: Path, text: str, name: str = "agents.toml") -> Catalog:
    file = tmp_path / name
    file.write_text(text)
    return load_catalog(file)


@pytest.mark.parametrize(
    ("name", "model", "efforts"),
    [
        ("codex", "gpt-5.3-codex", LOW_TO_HIGH),
        ("codex", "gpt-5.5", LOW_TO_XHIGH),
        ("codex", "gpt-5.5-mini", LOW_TO_HIGH),
        ("codex", "gpt-5.6-terra", LOW_TO_MAX),
        ("codex", "gpt-5.6", LOW_TO_HIGH),
        ("claude", "claude-opus-4-5", LOW_TO_HIGH),
        ("claude", "claude-opus-4-5-20251101", LOW_TO_HIGH),
        ("claude", "claude-opus-4-6", LOW_TO_MAX),
        ("claude", "claude-opus-4-10", LOW_TO_MAX),
        ("claude", "claude-opus-5", LOW_TO_MAX),
        ("claude", "claude-fable-5", LOW_TO_MAX),
        ("claude", "claude-sonnet-4-6", LOW_TO_HIGH),
        ("claude", "claude-sonnet-5", LOW_TO_HIGH),
        ("claude", "claude-sonnet-4-5", ()),
        ("claude", "claude-opus-4-1", ()),
        ("claude", "claude-opus-4-20250514", ()),
        ("claude", "claude-haiku-4-5", ()),
        ("claude", "my-opus-4-6", ()),
        ("runbook", "anything", ()),
    ],
)
def test_efforts_follow_the_table(name: str, model: str, efforts: tuple[str, ...]) -> None:
    assert load_catalog().find(name).supported_efforts(model) == efforts


def test_permission_modes_are_those_of_the_contract_in_its_order() -> None:
    modes = {name: tuple(load_catalog().find(name).permission_modes) for name in ("claude", "codex")}

    assert modes == {
        "claude": ("default", "acceptEdits", "plan", "bypassPermissions", "auto"),
        "codex": ("auto", "read-only", "full-access"),
    }


def test_callers_choose_among_the_agents_of_the_contract_and_those_enabled(tmp_path: Path) -> None:
    assert load_catalog().choices == ("claude", "codex")
    assert load(tmp_path, 'enable = ["opencode"]' + GOOSE).choices == ("claude", "codex", "goose", "opencode")
    assert load(tmp_path, 'enable = ["runbook"]').choice("runbook") is not None
    assert load_catalog().choice("opencode") is None


def test_ready_made_adapters_are_valid_and_say_how_to_get_them() -> None:
    adapters = load_catalog().adapters

    assert set(adapters) == {"claude", "codex", "gemini", "opencode", "runbook"}
    assert all(found.install for found in adapters.values())
    assert [adapters[name].provider for name in ("claude", "codex", "runbook")] == [
        "anthropic",
        "openai",
        None,
    ]


def test_default_adapter_needs_nothing_of_the_workers_environment() -> None:
    assert load_catalog().find(DEFAULT_ADAPTER).environment == ()


def test_error_about_an_unknown_adapter_lists_the_known_ones() -> None:
    with pytest.raises(UnknownAdapter, match=r"'gpt'.*claude, codex, gemini, opencode, runbook"):
        load_catalog().find("gpt")


def test_entry_replaces_the_given_fields_of_a_ready_made_adapter(tmp_path: Path) -> None:
    claude = load(tmp_path, '[adapters.claude]\nenvironment = ["ANTHROPIC_API_KEY"]\nsettings = {}').find(
        "claude"
    )

    assert claude.environment == ("ANTHROPIC_API_KEY",)
    assert claude.command == load_catalog().find("claude").command


def test_catalog_may_be_json(tmp_path: Path) -> None:
    entry = {"command": ["goose", "acp"], "install": "Install goose."}

    catalog = load(tmp_path, json.dumps({"adapters": {"goose": entry}}), "agents.json")

    assert catalog.find("goose").command == ("goose", "acp")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[adapters.goose]\ncommand = ["goose"]', "adapter 'goose': install: Field required"),
        ('[adapters.goose]\ncommand = []\ninstall = "x"', "adapter 'goose': command: .*at least 1 item"),
        (GOOSE + "colour = 1", "adapter 'goose': colour: Extra inputs are not permitted"),
        (GOOSE + 'environment = ["A B"]', "adapter 'goose': environment.0: "),
        (GOOSE + 'settings = { A = "${SECRET}" }', r"settings.A: \$\{SECRET\} is neither an option"),
        (GOOSE + 'readable = ["here"]', "adapter 'goose': readable.0: 'here' is not absolute"),
        (GOOSE + 'files = [{ path = "../x", content = "" }]', "files.0.path: '../x' leads out"),
        (GOOSE + 'efforts = [{ models = "(", efforts = [] }]', "efforts.0.models: '\\(' is no regular"),
        (GOOSE + 'permission_modes = { wild = "x" }', "adapter 'goose': permission_modes.wild"),
        (GOOSE + 'model_service = { variable = "A", default = "x" }', "'x' is not the URL of a host"),
        ('[adapters.Goose]\ncommand = ["goose"]\ninstall = "x"', "adapter 'Goose': name: "),
        ('[adapters.runbook]\ncommand = ["x"]', "adapter 'runbook': the built-in agent cannot be changed"),
        ("adapters = 1", "`adapters` must be a table"),
        ("adapters.goose = 1", "adapter 'goose': must be a table"),
        ('enable = ["goose"]', "enable: there is no adapter 'goose'; known: claude"),
        ('enable = "goose"', "`enable` must be a list"),
        ("adapter = {}", "'adapter' is neither"),
        ("adapters = ", "Invalid value"),
    ],
)
def test_wrong_catalog_is_refused_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CatalogInvalid, match=message) as caught:
        load(tmp_path, text)

    assert str(tmp_path / "agents.toml") in caught.value.message


def test_catalog_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogInvalid, match=r"nothing\.toml: No such file"):
        load_catalog(tmp_path / "nothing.toml")


def test_error_about_a_wrong_entry_does_not_quote_values(tmp_path: Path) -> None:
    """A setting may be a key, and the message goes to logs."""
    with pytest.raises(CatalogInvalid) as caught:
        load(tmp_path, GOOSE + 'settings = { "A B" = "sk-secret" }\nenvironment = ["sk secret"]')

    assert "secret" not in caught.value.message


def test_example_of_the_guide_counts_the_key_of_bedrock(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[3] / "docs/guide/agents.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(enable = .*?)```", guide, re.DOTALL)

    claude = load(tmp_path, example).find("claude")

    assert claude.lacks_key({"CLAUDE_CODE_USE_BEDROCK": "1"})
    assert not claude.lacks_key({"CLAUDE_CODE_USE_BEDROCK": "1", "AWS_BEARER_TOKEN_BEDROCK": "x"})


def test_keys_that_an_operator_takes_from_the_environment_are_not_asked_for(tmp_path: Path) -> None:
    claude = load(tmp_path, '[adapters.claude]\nenvironment = ["ANTHROPIC_API_KEY"]\n').find("claude")

    assert claude.keys == ("ANTHROPIC_API_KEY",)
