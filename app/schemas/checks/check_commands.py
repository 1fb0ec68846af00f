"""Commands of set-up steps and of checks, and which commands cannot fail."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain, dropwhile, pairwise
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, ValidationInfo, field_validator, model_validator

from app.json_types import JsonDict
from app.schemas.base import Input, doc
from app.schemas.fields import Items, Text, fail

_MISSING: Final = object()
_NO_OPERATIONS: Final = (["true"], [":"], ["exit", "0"])
_PRINTING: Final = frozenset({"echo", "printf"})
_SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh"})
# Words before or around a command, which do not change what the command is.
_AROUND: Final = frozenset({"env", "command", "exec", "{", "}"})
_JOINING: Final = frozenset({"(", ")", "&&", ";", "\n"})
_TOKEN: Final = re.compile(
    r"""
    (?P<blank> (?: [ \t\r] | \\\n | (?<![^\s;|&()]) \#[^\n]* )+ )
    | (?P<quoted> '[^']*'? | "(?: \\. | [^"\\] )*"? | \\. )
    | (?P<plain> (?: [<>]& | &> | >\| | [^\s'"\\|&;()] )+ )
    | (?P<operator> \|\| | && | \|& | [|&;()\n] )
    """,
    re.DOTALL | re.VERBOSE,
)


def check_relative(path: str) -> str:
    """Return the path, or the glob, if it leads nowhere outside, for the `check` of a text."""
    if path.startswith("/") or ".." in path.split("/"):
        raise fail("invalid_input", "Enter a path that is relative and has no `..`.")
    return path


def _require_program(arguments: Sequence[str] | None) -> Sequence[str] | None:
    if arguments and not arguments[0].strip():
        raise fail("blank", "This field may not be blank.", 0)
    return arguments


def _require_given(value: object) -> Any:
    if value is _MISSING:
        raise fail("required", "This field is required.")
    return value


Arguments = Annotated[
    list[Annotated[str, Text(max_length=4096, blank=True, verbatim=True)]] | None,
    Items(max_length=100, empty=False, null=True),
    AfterValidator(_require_program),
]


class CommandLine(Input):
    """What is executed: a program with arguments, or a text for a shell."""

    run: Annotated[
        Arguments, BeforeValidator(_require_given), doc("The program and its arguments.", ["pytest", "-q"])
    ] = None
    shell: Annotated[
        str | None,
        Text(max_length=16_384, null=True),
        doc("Instead of `run`: a text for `bash -euo pipefail -c`."),
    ] = None
    cwd: Annotated[
        str,
        Text(max_length=500, blank=True, check=check_relative),
        doc("The folder in the clone; empty: its root.", "services/api"),
    ] = ""

    @model_validator(mode="before")
    @classmethod
    def _mark_missing(cls, fields: JsonDict) -> JsonDict:
        # A missing command is reported at `run`, after errors of earlier fields.
        has_command = any(fields.get(name) is not None for name in ("run", "shell"))
        return fields if has_command else fields | {"run": _MISSING}

    @field_validator("shell")
    @classmethod
    def _refuse_second(cls, shell: str | None, info: ValidationInfo) -> str | None:
        if shell is not None and info.data.get("run") is not None:
            raise fail("invalid_input", "A command has either `run` or `shell`.")
        return shell


def refuse_if_it_cannot_fail(command: Sequence[str] | str | None) -> Sequence[str] | str | None:
    """Return a command of a check, for a validator of its field, unless it succeeds whatever it checks."""
    if command is not None and (
        _text_cannot_fail(command) if isinstance(command, str) else _program_cannot_fail(command)
    ):
        raise fail("check_cannot_fail", "This command cannot fail, so it proves nothing.")
    return command


def _program_cannot_fail(arguments: Sequence[str]) -> bool:
    words = _bare(arguments)
    if not words or words[0] in {"true", ":"} | _PRINTING:
        return True
    text = _text_of(words[1:]) if words[0] in _SHELLS else None
    if text is None:
        return False
    pipes = any(operator in {"|", "|&"} for operator, _ in _commands(text))
    return _text_cannot_fail(text) or (pipes and not any("pipefail" in argument for argument in arguments))


def _bare(words: Sequence[str]) -> list[str]:
    # Reduces the path of a program to its last part.
    bare = list(dropwhile(lambda word: word.rpartition("/")[2] in _AROUND, words))
    return [bare[0].rpartition("/")[2], *bare[1:]] if bare else []


def _text_of(arguments: Sequence[str]) -> str | None:
    has_text = False
    options = iter(arguments)
    for argument in options:
        if argument[:1] not in {"-", "+"} or argument == "--":
            return (next(options, None) if argument == "--" else argument) if has_text else None
        if not argument.startswith("--"):
            has_text |= argument.startswith("-") and "c" in argument
            if argument.endswith(("o", "O")):
                next(options, None)  # the name of an option
    return None


def _text_cannot_fail(text: str) -> bool:
    commands = [(operator, _bare(words)) for operator, words in _commands(text)]
    if any(_loosens(words) for _, words in commands):
        return True
    while commands and not commands[-1][1] and commands[-1][0] in {"", ";", "\n"}:
        commands.pop()
    if all(words in _NO_OPERATIONS or words[0] in _PRINTING for _, words in commands if words):
        return True
    operator, words = commands[-1]
    if operator in {";", "\n"} and words in _NO_OPERATIONS:
        return True
    alternatives = [place for place, (operator, _) in enumerate(commands) if operator == "||"]
    last = commands[alternatives[-1] :] if alternatives else []
    instead = [words for _, words in last if words]
    return (
        bool(instead)
        and all(operator in _JOINING for operator, _ in last[1:])
        and all(words in _NO_OPERATIONS or words[0] == "echo" for words in instead)
    )


def _loosens(words: Sequence[str]) -> bool:
    if words[:1] != ["set"]:
        return False
    is_named = ("+o", "pipefail") in pairwise(words)
    return is_named or any(re.fullmatch(r"\+[a-zA-Z]*e[a-zA-Z]*", word) for word in words)


def _commands(text: str) -> Iterator[tuple[str, list[str]]]:
    # Yields the operator before each command, and its words. A `'` stands for quoted text, which is never a known word.
    before, words, goes_on = "", list[str](), False
    for token in chain(_TOKEN.finditer(text), [None]):
        if token is None or token.lastgroup == "operator":
            yield before, words
            before, words = ("" if token is None else token[0]), []
        elif token.lastgroup != "blank":
            part = token[0] if token.lastgroup == "plain" else "'"
            if goes_on:
                words[-1] += part
            else:
                words.append(part)
        goes_on = token is not None and token.lastgroup in {"plain", "quoted"}
