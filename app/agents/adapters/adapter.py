"""Adapters: data that describes how to start an agent, and how to give it a run's options (contract 9.3).

Texts may hold `${model}`, `${effort}`, `${mode}`, and `${NAME}` or `${NAME:-default}` for variables that it may see.
"""

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from app.enums import PermissionMode, ReasoningEffort

_PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_OPTIONS = frozenset({"model", "effort", "mode"})
_MOST = 100
_LONG_TEXT = 20_000


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError(f"'{path}' is not absolute")
    return path


def _below_home(path: str) -> str:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts:
        raise ValueError(f"'{path}' leads out of the agent's home")
    return path


def _compiles(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"'{text}' is no regular expression: {error}") from None
    return text


def _has_host(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"'{text}' is not the URL of a host")
    return text


Word = Annotated[str, Field(min_length=1, max_length=200)]
Argument = Annotated[str, Field(min_length=1, max_length=4000)]
Sentence = Annotated[str, Field(min_length=1, max_length=500)]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]
AdapterName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=40)]


class WorkspaceAccess(StrEnum):
    """Whether an agent can write to the files of its workspace, or only read them. The sandbox enforces it."""

    WRITABLE = "writable"
    READ_ONLY = "read-only"


class ModeRule(_Data):
    """One of the API's permission modes, as an agent understands it: the agent's own mode, and its access to files."""

    mode: Word  # the agent's own name for the mode
    workspace: WorkspaceAccess = WorkspaceAccess.WRITABLE


def _mode_rule(value: object) -> object:
    return {"mode": value} if isinstance(value, str) else value


class EffortRule(_Data):
    """The efforts of some models, rising; `models` is a regular expression for the whole name of a model."""

    models: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_compiles)]
    efforts: Annotated[tuple[ReasoningEffort, ...], Field(max_length=10)]


class OfferedModel(_Data):
    """A model of an agent that clients offer to people; runs may request others too."""

    name: Word
    display_name: Word


class HomeFile(_Data):
    """A file to write into the agent's home before the agent starts; `path` is relative to the home.

    `content` can have placeholders such as `${model}`, escaped for a quoted string of JSON or TOML. A line is left out
    if one of its placeholders has no value.
    """

    path: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_below_home)]
    content: Annotated[str, Field(max_length=_LONG_TEXT)]


class Authentication(_Data):
    """An authentication method to request if the environment variable `needs` is set."""

    method: Word
    needs: VariableName


class FailureMark(_Data):
    """The mark of a failed turn: a session update with `equals` at the path `meta`, with dots, in its `_meta`."""

    meta: Word  # keys below an update's `_meta`, joined by dots
    equals: Word


class ModelService(_Data):
    """The server of an agent's models: its default URL, and the environment variable that overrides the URL."""

    variable: VariableName  # overrides the default
    default: Annotated[str, Field(max_length=500), AfterValidator(_has_host)]

    def url(self, environment: Mapping[str, str]) -> str:
        """Return the base URL of the server: the value of the variable in `environment`, or else the default."""
        return environment.get(self.variable) or self.default


class AgentOptions(_Data):
    """The model, effort and permission mode that a run requests; None for the agent's default."""

    model: str | None = None
    effort: str | None = None
    mode: str | None = None  # a permission mode of the API


class Adapter(_Data):
    """How to start one agent, which speaks the Agent Client Protocol, and how it receives the options of a run."""

    name: AdapterName
    command: Annotated[tuple[Argument, ...], Field(min_length=1, max_length=_MOST)]
    interpreter: Word | None = None  # runs the command, which is a script
    install: Sentence  # how to install it
    provider: Word | None = None
    # The only variables of the worker that the agent can see.
    environment: Annotated[tuple[VariableName, ...], Field(max_length=_MOST)] = ()
    # The variables that hold a key for its model; the agent needs one of these.
    keys: Annotated[tuple[VariableName, ...], Field(max_length=_MOST)] = ()
    # Further variables of the agent; one with a placeholder that has no value is left out.
    settings: Annotated[
        dict[VariableName, Annotated[str, Field(max_length=_LONG_TEXT)]], Field(max_length=_MOST)
    ] = {}
    files: Annotated[tuple[HomeFile, ...], Field(max_length=20)] = ()
    # Files and folders of its program, beside the command itself.
    readable: Annotated[tuple[Annotated[Path, AfterValidator(_absolute)], ...], Field(max_length=_MOST)] = ()
    permission_modes: dict[PermissionMode, Annotated[ModeRule, BeforeValidator(_mode_rule)]] = {}
    default_mode: Word | None = None  # the agent's own name for the mode of runs that request none
    efforts: Annotated[tuple[EffortRule, ...], Field(max_length=_MOST)] = ()  # the first match applies
    models: Annotated[tuple[OfferedModel, ...], Field(max_length=_MOST)] = ()
    authenticate: Authentication | None = None
    model_service: ModelService | None = None
    failure_mark: FailureMark | None = None
    # The keys, joined by dots, of the object with `input_tokens` and `output_tokens` below the `_meta` of its
    # answer to a prompt; for agents that do not fill in the protocol's own field for usage.
    usage_meta: Word | None = None
    # Whether the agent is offered the protocol's requests for files. It can access the workspace itself in any case.
    file_requests: bool = True
    # Folders of its home with its conversations, and without credentials. A run that resumes another restores them.
    sessions: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_below_home)], ...],
        Field(max_length=20),
    ] = ()

    @field_validator("keys")
    @classmethod
    def _only_visible(cls, keys: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        visible = info.data.get("environment", ())
        return tuple(name for name in keys if name in visible)

    @model_validator(mode="after")
    def _require_known_placeholders(self) -> Self:
        texts = {f"settings.{name}": text for name, text in self.settings.items()}
        texts |= {f"files.{file.path}": file.content for file in self.files}
        known = _OPTIONS | set(self.environment)
        for place, text in texts.items():
            for name, _ in _PLACEHOLDER.findall(text):
                if name not in known:
                    raise ValueError(
                        f"{place}: ${{{name}}} is neither an option of a run nor in `environment`"
                    )
        return self

    def supported_efforts(self, model: str) -> tuple[ReasoningEffort, ...]:
        """Return the reasoning efforts that a model supports, in rising order; empty if no rule names the model."""
        return next((rule.efforts for rule in self.efforts if re.fullmatch(rule.models, model)), ())

    def conveys(self, option: str) -> bool:
        """Return whether the agent receives `model`, `effort` or `mode` at its start, by a variable or file."""
        texts = (*self.settings.values(), *(file.content for file in self.files))
        return any(name == option for text in texts for name, _ in _PLACEHOLDER.findall(text))

    def mode_rule(self, options: AgentOptions) -> ModeRule | None:
        """Return the agent's own mode and file access for the mode in `options`, or its default's; None if neither."""
        for mode, rule in self.permission_modes.items():
            if mode == options.mode:
                return rule
        return ModeRule(mode=self.default_mode) if self.default_mode else None

    def filter_environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of `environment`, the worker's environment, that the agent may see."""
        return {name: environment[name] for name in self.environment if name in environment}

    def lacks_key(self, environment: Mapping[str, str]) -> bool:
        """Return whether the agent needs an API key for its model, but `environment` has no variable that holds one."""
        return bool(self.keys) and not any(environment.get(name) for name in self.keys)

    def secrets(self, environment: Mapping[str, str]) -> list[str]:
        """Return the values of all variables that the agent may see, but the URL of the models' server."""
        public = self.model_service.variable if self.model_service else None
        return [value for name, value in self.filter_environment(environment).items() if name != public]

    def variables(self, options: AgentOptions, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of the agent's process: the worker's that it may see, and `settings`, filled in."""
        values = self._values(options, environment)
        filled = {name: _fill(text, values) for name, text in self.settings.items()}
        return self.filter_environment(environment) | {
            name: text for name, text in filled.items() if text is not None
        }

    def home_files(self, options: AgentOptions, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the contents of the files for the agent's home, filled in, by path relative to it."""
        quoted = {name: json.dumps(value)[1:-1] for name, value in self._values(options, environment).items()}
        return {
            file.path: "".join(
                line
                for text in file.content.splitlines(keepends=True)
                if (line := _fill(text, quoted)) is not None
            )
            for file in self.files
        }

    def _values(self, options: AgentOptions, environment: Mapping[str, str]) -> dict[str, str]:
        rule = self.mode_rule(options)
        own = {"model": options.model, "effort": options.effort, "mode": rule.mode if rule else None}
        return {name: value for name, value in (self.filter_environment(environment) | own).items() if value}


def _fill(text: str, values: Mapping[str, str]) -> str | None:
    missing = False

    def value(match: re.Match[str]) -> str:
        nonlocal missing
        name, default = match.groups()
        found: Any = values.get(name, default)
        missing = missing or found is None
        return found or ""

    filled = _PLACEHOLDER.sub(value, text)
    return None if missing else filled
