"""Parses a runbook: the steps are those fenced blocks of a prompt that begin with a step's name.

Fences are CommonMark's. Likely mistakes are errors before any step runs. Steps are named tuples, because loading
dataclasses would delay every run.
"""

import json
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Never

_FENCE = re.compile(r"^(?P<indent> {0,3})(?P<fence>`{3,}|~{3,})(?P<info>.*)$")
_LONGEST_TIMEOUT = 24 * 3600


class RunbookError(Exception):
    """A prompt is not a valid runbook; the message names the line and the reason."""


class Script(NamedTuple):
    """A step that runs its text by `sh`, `bash` or `python`, for at most `timeout` seconds."""

    line: int
    language: str
    text: str
    allow_failure: bool = False
    timeout: float | None = None


class WriteFile(NamedTuple):
    line: int
    path: str
    text: str


class ApplyPatch(NamedTuple):
    line: int
    text: str
    allow_failure: bool = False


class SetOutput(NamedTuple):
    """A step of a runbook that sets the structured output of the run to `value`; a later such step replaces it."""

    line: int
    value: Any  # any JSON


class Ask(NamedTuple):
    """A step that waits for a person's choice; later steps find it in `TASKBEACON_ANSWER`."""

    line: int
    question: str
    options: tuple[str, ...]


class Say(NamedTuple):
    line: int
    text: str


Step = Script | WriteFile | ApplyPatch | SetOutput | Ask | Say


class _Block(NamedTuple):
    line: int
    info: str
    text: str


def parse(prompt: str) -> list[Step]:
    """Return the steps of a runbook in order; other text is ignored. Raises RunbookError."""
    steps = []
    for block in _blocks(prompt):
        step = _step(block)
        if step is not None:
            steps.append(step)
    return steps


def _blocks(prompt: str) -> list[_Block]:
    blocks = []
    # Not splitlines: a form feed or a Unicode line separator does not end a line of a script.
    lines = prompt.replace("\r\n", "\n").split("\n")
    number = 0
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        number += 1
        if opening is None or ("`" in opening["info"] and opening["fence"][0] == "`"):
            continue
        first = number
        closing = re.compile(rf"^ {{0,3}}{re.escape(opening['fence'][0])}{{{len(opening['fence'])},}}[ \t]*$")
        while number < len(lines) and not closing.match(lines[number]):
            number += 1
        if number == len(lines):
            raise RunbookError(
                f"Line {first}: the block that starts with {opening['fence']} is never closed."
            )
        indent = len(opening["indent"])
        body = [line[min(indent, len(line) - len(line.lstrip(" "))) :] for line in lines[first:number]]
        blocks.append(_Block(first, opening["info"].strip(), "".join(f"{line}\n" for line in body)))
        number += 1
    return blocks


def _step(block: _Block) -> Step | None:
    language, _, rest = block.info.partition(" ")
    language = language.lower()
    if language == "json":
        if rest.split()[:1] != ["output"]:
            return None
        rest = rest.split(maxsplit=1)[1] if len(rest.split()) > 1 else ""
    make = _STEPS.get(language)
    if make is None:
        return None
    known, build = make
    return build(block, language, _attributes(block, language, rest, known))


def _attributes(block: _Block, language: str, text: str, known: tuple[str, ...]) -> dict[str, str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        _reject(block, f"the attributes of `{language}` cannot be read ({error})")
    attributes = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in known:
            allowed = ", ".join(known) or "none"
            _reject(block, f"`{language}` has no attribute `{name}` (it has: {allowed})")
        attributes[name] = value
    return attributes


def _script(block: _Block, language: str, attributes: Mapping[str, str]) -> Script:
    return Script(
        line=block.line,
        language=language,
        text=block.text,
        allow_failure="allow-failure" in attributes,
        timeout=_timeout(block, attributes.get("timeout")),
    )


def _timeout(block: _Block, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        seconds = float(value.removesuffix("s"))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        _reject(block, f"`timeout={value}` is not a number of seconds between 0 and {_LONGEST_TIMEOUT}")
    return seconds


def _file(block: _Block, _language: str, attributes: Mapping[str, str]) -> WriteFile:
    path = attributes.get("path", "")
    if not path:
        _reject(block, "`file` needs `path=` with the file to write")
    return WriteFile(line=block.line, path=path, text=block.text)


def _patch(block: _Block, _language: str, attributes: Mapping[str, str]) -> ApplyPatch:
    return ApplyPatch(line=block.line, text=block.text, allow_failure="allow-failure" in attributes)


def _output(block: _Block, _language: str, _attributes: Mapping[str, str]) -> SetOutput:
    try:
        value = json.loads(block.text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        _reject(block, f"the output is not JSON ({error})")
    return SetOutput(line=block.line, value=value)


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


def _ask(block: _Block, _language: str, attributes: Mapping[str, str]) -> Ask:
    options = tuple(option.strip() for option in attributes.get("options", "yes,no").split(","))
    if not all(options) or len(set(options)) != len(options):
        _reject(block, "`options=` needs different answers, separated by commas")
    question = block.text.strip()
    if not question:
        _reject(block, "`ask` needs a question")
    return Ask(line=block.line, question=question, options=options)


def _say(block: _Block, _language: str, _attributes: Mapping[str, str]) -> Say:
    return Say(line=block.line, text=block.text.strip())


def _reject(block: _Block, reason: str) -> Never:
    raise RunbookError(f"Line {block.line}: {reason}.")


_Build = Callable[[_Block, str, Mapping[str, str]], Step]
_SCRIPT: tuple[tuple[str, ...], _Build] = (("allow-failure", "timeout"), _script)
_STEPS: dict[str, tuple[tuple[str, ...], _Build]] = {
    "sh": _SCRIPT,
    "bash": _SCRIPT,
    "python": _SCRIPT,
    "file": (("path",), _file),
    "patch": (("allow-failure",), _patch),
    "json": ((), _output),
    "ask": (("options",), _ask),
    "say": ((), _say),
}
