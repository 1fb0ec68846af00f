import pytest

from app.agents.catalog import DEFAULT_ADAPTER, find_adapter, permission_modes, provider_of, supported_efforts
from app.agents.errors import UnknownAdapter

LOW_TO_HIGH = ("low", "medium", "high")
LOW_TO_XHIGH = (*LOW_TO_HIGH, "xhigh")
LOW_TO_MAX = (*LOW_TO_XHIGH, "max")


@pytest.mark.parametrize(
    ("adapter", "model", "efforts"),
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
def test_efforts_follow_the_table(adapter: str, model: str, efforts: tuple[str, ...]) -> None:
    assert supported_efforts(adapter, model) == efforts


def test_permission_modes_are_those_of_the_contract_in_its_order() -> None:
    assert permission_modes("claude") == ("default", "acceptEdits", "plan", "bypassPermissions", "auto")
    assert permission_modes("codex") == ("auto", "read-only", "full-access")


def test_providers() -> None:
    assert [provider_of(name) for name in ("claude", "codex", "runbook")] == ["anthropic", "openai", ""]


def test_default_adapter_needs_nothing_of_the_workers_environment() -> None:
    assert find_adapter(DEFAULT_ADAPTER).environment == ()


def test_unknown_adapter_is_told_with_the_known_ones() -> None:
    with pytest.raises(UnknownAdapter, match=r"'gpt'.*claude, codex, runbook"):
        find_adapter("gpt")
