"""What the answer to a question may cost: by the tool and the rules in risk.toml (contract 15.2)."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # JSON

from app.enums import QuestionKind, QuestionRisk

# A tool of one of these kinds runs only what its input calls a command; the rest of it is text.
_RUNS_NOTHING = frozenset({"read", "edit", "search", "move", "think"})
_COMMAND_KEYS = re.compile(r"(?i)^(command|cmd|script|code|args|argv|program)")
_PATH_KEYS = re.compile(r"(?i)(path|file|uri|dir|folder)")
_SEARCHED_CHARACTERS = 100_000


@dataclass(frozen=True, slots=True)
class _Rule:
    commands: re.Pattern[str] | None
    paths: re.Pattern[str] | None
    keys: re.Pattern[str] | None

    def fits(self, call: "_Call") -> bool:
        return (
            _is_in(self.commands, call.commands)
            or _is_in(self.paths, [*call.commands, *call.paths])
            or _is_in(self.keys, call.keys)
        )


@dataclass(frozen=True, slots=True)
class _Call:
    """What a tool is given: what it would run, what it would touch, and the names in it."""

    commands: list[str]
    paths: list[str]
    keys: list[str]


def risk_of(kind: QuestionKind, tool_call: Mapping[str, Any]) -> QuestionRisk:
    """Return the risk of a question about a tool call, given as the agent sent it."""
    if kind is QuestionKind.MESSAGE:
        return QuestionRisk.LOW
    if kind is not QuestionKind.PERMISSION:
        return QuestionRisk.NORMAL
    tool = str(tool_call.get("kind"))
    call = _read(tool_call, runs_all=tool not in _RUNS_NOTHING)
    if tool in _KINDS["high"] or any(rule.fits(call) for rule in _RULES):
        return QuestionRisk.HIGH
    return QuestionRisk.LOW if tool in _KINDS["low"] else QuestionRisk.NORMAL


def _read(tool_call: Mapping[str, Any], *, runs_all: bool) -> _Call:
    call = _Call([], [], [])
    for names, text in _texts(tool_call.get("rawInput"), ()):
        call.keys.extend(names)
        if runs_all or any(_COMMAND_KEYS.search(name) for name in names):
            call.commands.append(text)
        if any(_PATH_KEYS.search(name) for name in names):
            call.paths.append(text)
    for part in (*_entries(tool_call, "locations"), *_entries(tool_call, "content")):
        if isinstance(path := part.get("path"), str):
            call.paths.append(path[:_SEARCHED_CHARACTERS])
    return call


def _entries(tool_call: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    entries = tool_call.get(name)
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _texts(value: Any, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each text in an input with the names on the way to it; a list of words is one text."""
    match value:
        case str():
            yield names, value[:_SEARCHED_CHARACTERS]
        case dict():
            for name, item in value.items():
                yield from _texts(item, (*names, name))
        case list() if value and all(isinstance(item, str) for item in value):
            yield names, " ".join(value)[:_SEARCHED_CHARACTERS]
        case list():
            for item in value:
                yield from _texts(item, names)
        case None:
            return
        case _:
            yield names, str(value)


def _is_in(pattern: re.Pattern[str] | None, texts: list[str]) -> bool:
    return pattern is not None and any(pattern.search(text) for text in texts)


def _compiled(rule: Mapping[str, str]) -> _Rule:
    return _Rule(
        *(re.compile(rule[where]) if where in rule else None for where in ("commands", "paths", "keys"))
    )


_FILE = tomllib.loads(Path(__file__).with_name("risk.toml").read_text())
_KINDS: Mapping[str, frozenset[str]] = {name: frozenset(kinds) for name, kinds in _FILE["kinds"].items()}
_RULES = [_compiled(rule) for rule in _FILE["rules"]]
