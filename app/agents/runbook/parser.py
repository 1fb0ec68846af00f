"""Parses a runbook: the steps are those fenced blocks of a prompt that begin with a step's kind.

Fences are CommonMark's. Likely mistakes are errors before any step runs. Steps are named tuples, because loading
dataclasses would delay every run.
"""

import json
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple, Never

JSON_OUTPUT = "json output"
_SCRIPT = ("allow-failure", "timeout")
# The kinds of steps, each with the attributes that it can have.
_KINDS = {
    "sh": _SCRIPT,
    "bash": _SCRIPT,
    "python": _SCRIPT,
    "file": ("path",),
    "patch": ("allow-failure",),
    JSON_OUTPUT: (),
    "ask": ("options",),
    "say": (),
}
_FENCE = re.compile(r"^(?P<indent> {0,3})(?P<fence>`{3,}|~{3,})(?P<info>.*)$")
_LONGEST_TIMEOUT = 24 * 3600


class RunbookError(Exception):
    """A prompt is not a valid runbook; the message names the line and the reason."""


class Step(NamedTuple):
    """A block of a prompt that is executed."""

    line: int
    kind: str
    text: str
    path: str = ""
    options: tuple[str, ...] = ()
    allow_failure: bool = False
    timeout: float | None = None  # in seconds


def parse(prompt: str) -> list[Step]:
    """Return the steps of a runbook in order; other text is ignored. Raises RunbookError."""
    steps = (_step(line, info, text) for line, info, text in _blocks(prompt))
    return [step for step in steps if step is not None]


def _blocks(prompt: str) -> Iterator[tuple[int, str, str]]:
    # Not splitlines: a form feed or a Unicode line separator does not end a line of a script.
    lines = prompt.replace("\r\n", "\n").split("\n")
    number = 0
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        number += 1
        if opening is None or ("`" in opening["info"] and opening["fence"][0] == "`"):
            continue
        first, fence = number, opening["fence"]
        closing = re.compile(rf"^ {{0,3}}{re.escape(fence[0])}{{{len(fence)},}}[ \t]*$")
        while number < len(lines) and not closing.match(lines[number]):
            number += 1
        if number == len(lines):
            _reject(first, f"the block that starts with {fence} is never closed")
        indent = len(opening["indent"])
        body = [line[min(indent, len(line) - len(line.lstrip(" "))) :] for line in lines[first:number]]
        yield first, opening["info"].strip(), "".join(f"{line}\n" for line in body)
        number += 1


def _step(line: int, info: str, text: str) -> Step | None:
    kind, _, rest = info.partition(" ")
    kind = kind.lower()
    if kind == "json" and rest.split()[:1] == ["output"]:
        kind, rest = JSON_OUTPUT, rest.strip().removeprefix("output")
    if kind not in _KINDS:
        return None
    attributes = _attributes(line, kind, rest)
    path, options = attributes.get("path", ""), attributes.get("options", "yes,no").split(",")
    if kind == "file" and not path:
        _reject(line, "`file` needs `path=` with the file to write")
    if kind == JSON_OUTPUT:
        try:
            json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            _reject(line, f"the output is not JSON ({error})")
    if kind in {"ask", "say"}:
        text = text.strip()
    if kind == "ask":
        options = [option.strip() for option in options]
        if not all(options) or len(set(options)) != len(options):
            _reject(line, "`options=` needs different answers, separated by commas")
        if not text:
            _reject(line, "`ask` needs a question")
    return Step(
        line,
        kind,
        text,
        path=path,
        options=tuple(options) if kind == "ask" else (),
        allow_failure="allow-failure" in attributes,
        timeout=_timeout(line, attributes["timeout"]) if "timeout" in attributes else None,
    )


def _attributes(line: int, kind: str, text: str) -> dict[str, str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        _reject(line, f"the attributes of `{kind}` cannot be read ({error})")
    attributes = {name: value for name, _, value in (word.partition("=") for word in words)}
    for name in attributes:
        if name not in _KINDS[kind]:
            allowed = ", ".join(_KINDS[kind]) or "none"
            _reject(line, f"`{kind}` has no attribute `{name}` (it has: {allowed})")
    return attributes


def _timeout(line: int, value: str) -> float:
    try:
        seconds = float(value.removesuffix("s"))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        _reject(line, f"`timeout={value}` is not a number of seconds between 0 and {_LONGEST_TIMEOUT}")
    return seconds


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


def _reject(line: int, reason: str) -> Never:
    raise RunbookError(f"Line {line}: {reason}.")
