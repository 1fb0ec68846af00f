"""Which agents there are and what each understands: data that rules and runs read (contract 9.3).

Nothing here starts a process or looks at the machine.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from re import Pattern
from re import compile as pattern

from app.agents.errors import UnknownAdapter

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


_PACKAGE = Path(__file__).resolve().parents[1]

# Isolated mode keeps a workspace that has an `app` folder of its own (this very repository has) from being
# imported in our place. The package is loaded from where it lies, and not found by searching its parent folder:
# the sandbox shows that folder to nobody.
_START_RUNBOOK = """\
import importlib.util, runpy, sys
folder = sys.argv.pop(1)
spec = importlib.util.spec_from_file_location(
    "app", folder + "/__init__.py", submodule_search_locations=[folder]
)
sys.modules["app"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["app"])
runpy.run_module("app.agents.runbook", run_name="__main__", alter_sys=True)
"""

ADAPTERS: dict[str, Adapter] = {
    adapter.name: adapter
    for adapter in (
        Adapter(
            name="runbook",
            command=(sys.executable, "-I", "-c", _START_RUNBOOK, str(_PACKAGE)),
            install_hint="It is part of Taskbeacon: reinstall the worker.",
            readable=(Path(sys.prefix), Path(sys.base_prefix), _PACKAGE),
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
