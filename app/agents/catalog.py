"""Which agents there are and what each understands: data that rules and runs read (contract 9.3).

Nothing here starts a process or looks at the machine.
"""

from dataclasses import dataclass
from pathlib import Path
from re import Pattern
from re import compile as pattern

from app.agents.errors import UnknownAdapter
from app.agents.inside import OWN_PROGRAM, module_command

__all__ = [
    "ADAPTERS",
    "DEFAULT_ADAPTER",
    "OUTPUT_PATH",
    "Adapter",
    "find_adapter",
    "permission_modes",
    "provider_of",
    "supported_efforts",
]

DEFAULT_ADAPTER = "runbook"
# Where every agent leaves the structured output of a run, in its workspace.
OUTPUT_PATH = ".taskbeacon/output.json"

_LOW_TO_HIGH = ("low", "medium", "high")
_LOW_TO_XHIGH = (*_LOW_TO_HIGH, "xhigh")
_LOW_TO_MAX = (*_LOW_TO_XHIGH, "max")


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """One agent that speaks the Agent Client Protocol on its standard input and output."""

    name: str
    command: tuple[str, ...]
    install_hint: str
    interpreter: str | None = None  # what the command is a script of
    provider: str | None = None
    environment: tuple[str, ...] = ()  # the only variables of the worker that the agent gets to see
    settings: tuple[tuple[str, str], ...] = ()  # variables that it always gets
    readable: tuple[Path, ...] = ()  # what its program consists of, beside the command itself
    permission_modes: tuple[str, ...] = ()
    efforts: tuple[tuple[Pattern[str], tuple[str, ...]], ...] = ()  # first match on the model's name counts


ADAPTERS: dict[str, Adapter] = {
    adapter.name: adapter
    for adapter in (
        Adapter(
            name="runbook",
            command=module_command("app.agents.runbook"),
            install_hint="It is part of Taskbeacon: reinstall the worker.",
            readable=OWN_PROGRAM,
        ),
        Adapter(
            name="claude",
            command=("claude-agent-acp",),
            install_hint="Install it on the worker with `npm install -g @agentclientprotocol/claude-agent-acp`.",
            interpreter="node",
            provider="anthropic",
            environment=(
                "ANTHROPIC_API_KEY",
                "ANTHROPIC_AUTH_TOKEN",
                "ANTHROPIC_BASE_URL",
                "ANTHROPIC_CUSTOM_HEADERS",
                "CLAUDE_CODE_OAUTH_TOKEN",
            ),
            settings=(("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"), ("DISABLE_AUTOUPDATER", "1")),
            permission_modes=("default", "acceptEdits", "plan", "bypassPermissions", "auto"),
            efforts=(
                (pattern(r"(?:claude-)?opus-4-5(?:-\d{8})?"), _LOW_TO_HIGH),
                (pattern(r"(?:claude-)?opus-(?:4-(?:[6-9]|\d\d)|[5-9]|\d\d)(?:-.+)?"), _LOW_TO_MAX),
                (pattern(r"(?:claude-)?fable-5(?:-.+)?"), _LOW_TO_MAX),
                (pattern(r"(?:claude-)?sonnet-(?:4-6|5)(?:-.+)?"), _LOW_TO_HIGH),
            ),
        ),
        Adapter(
            name="codex",
            command=("codex-acp",),
            install_hint="Install it on the worker with `npm install -g @agentclientprotocol/codex-acp`.",
            interpreter="node",
            provider="openai",
            environment=("OPENAI_API_KEY", "OPENAI_BASE_URL", "CODEX_API_KEY"),
            permission_modes=("auto", "read-only", "full-access"),
            efforts=(
                (pattern(r"gpt-5\.5"), _LOW_TO_XHIGH),
                (pattern(r"gpt-5\.6-.+"), _LOW_TO_MAX),
                (pattern(r".+"), _LOW_TO_HIGH),
            ),
        ),
    )
}


def find_adapter(name: str) -> Adapter:
    """Return the adapter of that name. Raises UnknownAdapter."""
    adapter = ADAPTERS.get(name)
    if adapter is None:
        known = ", ".join(sorted(ADAPTERS))
        raise UnknownAdapter(f"There is no agent called '{name}'. This worker knows: {known}.")
    return adapter


def provider_of(adapter: str) -> str:
    """Return who serves an adapter's models; "" for one that needs no model. Raises UnknownAdapter."""
    return find_adapter(adapter).provider or ""


def permission_modes(adapter: str) -> tuple[str, ...]:
    """Return the permission modes that the adapter allows, in the contract's order. Raises UnknownAdapter."""
    return find_adapter(adapter).permission_modes


def supported_efforts(adapter: str, model: str) -> tuple[str, ...]:
    """Return the reasoning efforts of a model in rising order; () = none. Raises UnknownAdapter."""
    for models, efforts in find_adapter(adapter).efforts:
        if models.fullmatch(model):
            return efforts
    return ()
