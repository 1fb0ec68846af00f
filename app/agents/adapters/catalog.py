"""The catalog of agents that runs can use: this release's adapters, as changed by the operator's file.

A catalog is a TOML or JSON file (setting `TASKBEACON_AGENT_CATALOG`):

    enable = ["opencode"]              # ready-made adapters that are off by default

    [adapters.goose]                   # one of your own: the fields of adapter.py
    command = ["goose", "acp"]
    install = "Install it with `pipx install goose-ai`."

    [adapters.claude]                  # fields that replace those of a ready-made adapter
    environment = ["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "HTTPS_PROXY"]
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from app.agents.adapters.adapter import Adapter
from app.agents.errors import CatalogInvalid, UnknownAdapter
from app.enums import RuntimeAdapter
from app.json_types import JsonDict
from app.processes.own_program import OWN_PROGRAM, module_command

DEFAULT_ADAPTER = "runbook"

_READY_MADE = Path(__file__).parent
_MAX_BYTES = 2**20
_MAX_ADAPTERS = 100


@dataclass(frozen=True, slots=True)
class Catalog:
    """All adapters of this process by name, and the names that clients of the API may request."""

    adapters: Mapping[str, Adapter]
    choices: tuple[str, ...]  # the names that a caller may request, first those of the contract

    def find(self, name: str) -> Adapter:
        """Return the adapter with this name, even if clients of the API may not request it. Raises UnknownAdapter."""
        adapter = self.adapters.get(name)
        if adapter is None:
            names = ", ".join(sorted(self.adapters))
            raise UnknownAdapter(f"There is no agent called '{name}'. This worker knows: {names}.")
        return adapter

    def choice(self, name: object) -> Adapter | None:
        """Return the adapter that a client requests by `name`, which may be any JSON; None if it may not."""
        return self.adapters[name] if isinstance(name, str) and name in self.choices else None


def load_catalog(path: Path | None = None) -> Catalog:
    """Return the adapters of this release, changed by the operator's file at `path`. Raises CatalogInvalid."""
    changes = _read(path) if path else {}
    try:
        return _merge(changes)
    except CatalogInvalid as error:
        raise CatalogInvalid(f"{path}: {error.message}") from None


def _merge(changes: Mapping[str, object]) -> Catalog:
    unknown = sorted(set(changes) - {"adapters", "enable"})
    if unknown:
        raise CatalogInvalid(f"'{unknown[0]}' is neither `adapters` nor `enable`")
    ready_made = {file.stem: tomllib.loads(file.read_text()) for file in sorted(_READY_MADE.glob("*.toml"))}
    entries = _entries(changes.get("adapters", {}))
    enabled = changes.get("enable", [])
    if not isinstance(enabled, list) or not all(isinstance(name, str) for name in enabled):
        raise CatalogInvalid("`enable` must be a list of names of adapters")
    adapters = {DEFAULT_ADAPTER: _runbook()}
    for name in (*ready_made, *(name for name in entries if name not in ready_made)):
        adapters[name] = _adapter(name, ready_made.get(name, {}) | entries.get(name, {}))
    for name in enabled:
        if name not in adapters:
            raise CatalogInvalid(
                f"enable: there is no adapter '{name}'; known: {', '.join(sorted(adapters))}"
            )
    choices = dict.fromkeys((*RuntimeAdapter, *entries, *enabled))
    return Catalog(adapters, tuple(str(name) for name in choices))


def _runbook() -> Adapter:
    return Adapter(
        name=DEFAULT_ADAPTER,
        command=module_command("app.agents.runbook"),
        install="It is part of Taskbeacon: reinstall the worker.",
        readable=OWN_PROGRAM,
    )


def _entries(entries: object) -> dict[str, JsonDict]:
    if not isinstance(entries, dict):
        raise CatalogInvalid("`adapters` must be a table of adapters by name")
    if len(entries) > _MAX_ADAPTERS:
        raise CatalogInvalid(f"more than {_MAX_ADAPTERS} adapters")
    for name, entry in entries.items():
        if name == DEFAULT_ADAPTER:
            raise CatalogInvalid(f"adapter '{name}': the built-in agent cannot be changed")
        if not isinstance(entry, dict):
            raise CatalogInvalid(f"adapter '{name}': must be a table")
    return entries


def _adapter(name: str, entry: Mapping[str, object]) -> Adapter:
    try:
        return Adapter.model_validate({**entry, "name": name})
    except ValidationError as error:
        # Without the values: settings may hold keys.
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        texts = (_describe(problem["loc"], problem["msg"]) for problem in problems[:3])
        raise CatalogInvalid(f"adapter '{name}': {'; '.join(texts)}") from None


def _describe(place: Iterable[int | str], message: str) -> str:
    where = ".".join(str(part) for part in place)
    text = message.removeprefix("Value error, ")
    return f"{where}: {text}" if where else text


def _read(path: Path) -> JsonDict:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise CatalogInvalid(f"{path}: {error.strerror}") from None
    if len(content) > _MAX_BYTES:
        raise CatalogInvalid(f"{path}: larger than {_MAX_BYTES} bytes")
    try:
        text = content.decode()
        value = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise CatalogInvalid(f"{path}: {error}") from None
    if not isinstance(value, dict):
        raise CatalogInvalid(f"{path}: must hold a table")
    return value
