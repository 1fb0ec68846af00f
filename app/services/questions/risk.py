"""Rate the risk of a question about a tool call, by the rules in risk.toml (contract 15.10).

A heuristic that warns people of what is written plainly. It is no parser of a shell, and a command can be hidden from
it: the sandbox confines the agent.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any  # JSON

from app.enums import QuestionKind, QuestionRisk
from app.json_types import JsonDict

# A tool of these kinds runs nothing but what its input names as a command; the rest is text.
_RUNS_NOTHING = frozenset({"read", "edit", "search", "move", "think"})
_COMMAND_KEYS = re.compile(r"(?i)^(command|cmd|script|code|args|argv|program)")
# The names under which tools get a command in parts, as `command` and `args`.
_PARTS = re.compile(r"(?i)^((sub_?)?command|cmd|script|code|program|exec)")
_ARGUMENTS = re.compile(r"(?i)^(arg|param|flag|option)")
_PATH_KEYS = re.compile(r"(?i)(path|file|uri|dir|folder)")
# A text that is longer is not searched, and counts as `high`.
_SEARCHED_CHARACTERS = 20_000
# The most characters, and levels of nesting, that are searched in a call. A call with more counts as `high`.
_SEARCHED_IN_ALL = 100_000
_DEEPEST = 50
_SEPARATOR = re.compile(r"[;&|\n]")
# A shell drops these from words and inserts nothing: `r\m`, `r''m`, `r$@m`.
_DROPPED = re.compile(r"""\\\n|['"\\]|\$[@*]""")
_BLANK = re.compile(r"\$\{?IFS\}?")


class _TooMuchError(Exception):
    """A tool call is too large to be searched for risks."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule of risk.toml: the patterns of `command` and `line` must all occur in one text."""

    command: Sequence[re.Pattern[str]] = ()
    line: Sequence[re.Pattern[str]] = ()
    paths: Sequence[re.Pattern[str]] = ()
    keys: Sequence[re.Pattern[str]] = ()

    def fits(self, call: "_Call") -> bool:
        return (
            _occur(self.command, (part for text in call.commands for part in _SEPARATOR.split(text)))
            or _occur(self.line, call.commands)
            or _occur(self.paths, [*call.commands, *call.paths])
            or _occur(self.keys, call.keys)
        )


@dataclass(slots=True)
class _Call:
    """The parts of a tool call that rules search: commands to run, paths to touch, names in its input."""

    commands: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    left: int = _SEARCHED_IN_ALL

    def add(self, to: list[str], *texts: str) -> None:
        """Add texts to one of the lists to search. Raises _TooMuchError."""
        self.left -= sum(map(len, texts)) + 1
        if self.left < 0 or any(len(text) > _SEARCHED_CHARACTERS for text in texts):
            raise _TooMuchError
        to.extend(texts)


def risk_of(kind: QuestionKind, tool_call: Mapping[str, object]) -> QuestionRisk:
    if kind is QuestionKind.MESSAGE:
        return QuestionRisk.LOW
    if kind is not QuestionKind.PERMISSION:
        return QuestionRisk.NORMAL
    tool = str(tool_call.get("kind"))
    try:
        call = _read(tool_call, runs_all=tool not in _RUNS_NOTHING)
    except _TooMuchError:
        return QuestionRisk.HIGH
    if tool in _KINDS["high"] or any(rule.fits(call) for rule in _RULES):
        return QuestionRisk.HIGH
    return QuestionRisk.LOW if tool in _KINDS["low"] and not call.commands else QuestionRisk.NORMAL


def _read(tool_call: Mapping[str, object], *, runs_all: bool) -> _Call:
    call = _Call()
    for names, text in _texts(tool_call.get("rawInput"), (), _DEEPEST):
        call.add(call.keys, *names)
        if runs_all or any(_COMMAND_KEYS.search(name) for name in names):
            call.add(call.commands, text)
            call.commands.append(_BLANK.sub(" ", _DROPPED.sub("", text)))
        if any(_PATH_KEYS.search(name) for name in names):
            call.add(call.paths, text)
    for part in (*_entries(tool_call, "locations"), *_entries(tool_call, "content")):
        if isinstance(path := part.get("path"), str):
            call.add(call.paths, path)
    return call


def _entries(tool_call: Mapping[str, object], name: str) -> list[JsonDict]:
    entries = tool_call.get(name)
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _texts(value: object, names: tuple[str, ...], levels: int) -> Iterator[tuple[tuple[str, ...], str]]:
    if levels == 0:
        raise _TooMuchError
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(item, (*names, name), levels - 1)
        parts = [*filter(_PARTS.search, value), *filter(_ARGUMENTS.search, value)]
        if len(parts) > 1:
            yield (*names, *parts), " ".join(filter(None, (_words(value[name]) for name in parts)))
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict | list):
                yield from _texts(item, names, levels - 1)
    if words := _words(value):
        yield names, words


def _words(value: object) -> str:
    items = value if isinstance(value, list) else [value]
    return " ".join(str(item) for item in items if item is not None and not isinstance(item, dict | list))


def _occur(patterns: Sequence[re.Pattern[str]], texts: Iterable[str]) -> bool:
    return bool(patterns) and any(all(pattern.search(text) for pattern in patterns) for text in texts)


def _compile(rule: Mapping[str, Any]) -> _Rule:
    patterns = {
        name: [value] if isinstance(value, str) else value for name, value in rule.items() if name != "name"
    }
    return _Rule(**{name: [re.compile(pattern) for pattern in texts] for name, texts in patterns.items()})


_FILE = tomllib.loads(Path(__file__).with_name("risk.toml").read_text())
_KINDS: Mapping[str, frozenset[str]] = {name: frozenset(kinds) for name, kinds in _FILE["kinds"].items()}
_RULES = [_compile(rule) for rule in _FILE["rules"]]
