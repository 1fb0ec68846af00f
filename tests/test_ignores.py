"""Each exception from a rule has its reason beside it, in the code or in pyproject.toml, and no reason is left over."""

import re
import tokenize
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_IGNORE = re.compile(r"noqa\b|type: ignore|pragma\b")
_EXPLAINED = re.compile(
    r"(noqa: [A-Z0-9, ]+ -|type: ignore\[[a-z, -]+\] +#|pragma: [a-z ]+ -) (?!as above|as in |likewise|see above)\S"
)
# The reason for an `Any` on a line of code that has none.
_LEFT_OVER = re.compile(r"^(?!.*\bAny\b.*#).*[^\s#].*#[ ]Any: ", re.MULTILINE)
_RULE = re.compile(r'"[A-Z]+[0-9]*"')


def test_every_ignore_has_a_reason() -> None:
    found = [f"{path.relative_to(_ROOT)}:{line}" for path, text in _texts() for line in _unexplained(text)]

    assert found == []


def test_every_reason_for_any_is_on_a_line_with_any() -> None:
    assert [str(path.relative_to(_ROOT)) for path, text in _texts() if _LEFT_OVER.search(text)] == []
    line = "from typing import Any  # Any: JSON"
    assert not _LEFT_OVER.search(f"{line}\n{line[-11:]}\nvalue: Any = 1")
    assert _LEFT_OVER.search(line.replace("Any", "Protocol", 1))


def test_every_rule_that_is_off_has_a_reason() -> None:
    _, _, lint = (_ROOT / "pyproject.toml").read_text().partition("\n[tool.ruff.lint]\n")
    table, _, _ = lint.partition("\n[tool.ruff.lint.isort]\n")
    off = [line for line in table.splitlines() if _RULE.search(line) and line != 'select = ["ALL"]']

    assert [line for line in off if " # " not in line] == []
    assert off


def test_ignore_without_a_reason_is_found() -> None:
    cases = (
        ("import httpx  # noqa: PLC0415", True),
        ("import httpx  # noqa: PLC0415 - as above", True),
        ("import httpx  # noqa", True),
        ("# ruff: noqa: INP001", True),
        ("name = read()  # type: ignore[misc]", True),
        ("name = read()  # type: ignore # the library has no types", True),
        ("pass  # pragma: no cover", True),
        ("run(command)  # noqa: S603, S607 - git", False),
        ("name = read()  # type: ignore[misc] # the library has no types", False),
        ("text = 'import httpx  # noqa: PLC0415'", False),
    )
    for planted, is_found in cases:
        assert bool(list(_unexplained(planted))) is is_found, planted


def _texts() -> Iterator[tuple[Path, str]]:
    for folder in ("app", "bench", "checks", "client", "migrations", "tests"):
        yield from ((path, path.read_text()) for path in (_ROOT / folder).rglob("*.py"))


def _unexplained(text: str) -> Iterator[int]:
    # Most modules ignore nothing, and are not taken apart.
    if not _IGNORE.search(text):
        return
    for token in tokenize.generate_tokens(StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            for ignore in _IGNORE.finditer(token.string):
                if not _EXPLAINED.match(token.string, ignore.start()):
                    yield token.start[0]
