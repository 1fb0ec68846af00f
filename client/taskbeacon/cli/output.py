"""Standard output and standard error of the command line. Only `raw` writes what is not cleaned."""

import json
import os
import re
import sys
import textwrap
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any

# C0 but newline and tab, DEL, C1, characters of direction or without width, and lone surrogates.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
# By the beginning of a line; the first that fits.
_PATCH_STYLES = {"diff ": "bold", "--- ": "bold", "+++ ": "bold", "@@": "cyan", "+": "green", "-": "red"}
# Held while a line is written, and while the process ends.
writing = RLock()
_LEAST_LAST_CELL = 20


class OutputClosed(BaseException):
    """The reader of standard output has gone. Not an OSError, which click would handle itself."""


@contextmanager
def _to_reader() -> Generator[None, None, None]:
    try:
        yield
    except BrokenPipeError:
        raise OutputClosed from None


def clean(text: str) -> str:
    """Return a text from elsewhere without control and invisible characters."""
    return _UNSEEN.sub("", text)


def one_line(text: str) -> str:
    return " ".join(clean(text).split())


def width() -> int:
    from shutil import get_terminal_size  # noqa: PLC0415 - slow to load, for what some commands do without

    return get_terminal_size().columns


def has_colour() -> bool:
    is_plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return sys.stdout is not None and sys.stdout.isatty() and not is_plain


def styled(text: str, style: str) -> str:
    """Return cleaned text with a style, where there are colours."""
    return f"\x1b[{_STYLES[style]}m{clean(text)}\x1b[0m" if has_colour() else clean(text)


def write(text: str) -> None:
    """Write a line that was cleaned to standard output, at once."""
    if sys.stdout is not None:
        encoding = sys.stdout.encoding or "utf-8"
        with writing, _to_reader():
            sys.stdout.write(f"{text}\n".encode(encoding, "replace").decode(encoding))
            sys.stdout.flush()


def folded(text: str, first: str = "", rest: str = "") -> list[str]:
    """Return cleaned text with indents; in a terminal wrapped at words."""
    lines: list[str] = []
    for each in clean(text).split("\n"):
        indent = rest if lines else first
        # A line that fits is not changed: code and tables have spaces.
        if len(indent) + len(each) > _room():
            whole: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
            wrapped = textwrap.wrap(each, _room(), initial_indent=indent, subsequent_indent=rest, **whole)
            lines += wrapped or [indent]
        else:
            lines.append(f"{indent}{each}" if each else "")
    return lines


def _room() -> int:
    return width() if sys.stdout is not None and sys.stdout.isatty() else sys.maxsize


def line(text: str, indent: str = "", style: str | None = None) -> None:
    """Write text; in a terminal long lines are wrapped, and continue two spaces further right."""
    for whole in text.split("\n"):
        for each in folded(whole, indent, f"{indent}  "):
            write(styled(each, style) if style else each)


def raw(content: bytes) -> None:
    """Write the bytes of a file unchanged; to a terminal, cleaned."""
    if sys.stdout is None:
        return
    with writing, _to_reader():
        if sys.stdout.isatty():
            sys.stdout.write(clean(content.decode(errors="replace")))
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(content)
        sys.stdout.flush()


def patch(content: bytes) -> None:
    """Write a patch: its bytes, or coloured lines to a terminal with colours."""
    if not has_colour():
        raw(content)
        return
    for line in content.decode(errors="replace").splitlines():
        kind = next((style for start, style in _PATCH_STYLES.items() if line.startswith(start)), None)
        write(styled(line, kind) if kind else clean(line))


def as_json(content: Any) -> None:
    write(json.dumps(content))


def note(text: str) -> None:
    """Write a line about the command itself to standard error."""
    if sys.stderr is not None:
        sys.stderr.write(f"{clean(text)}\n")
        sys.stderr.flush()


def rows(found: Iterable[Sequence[str]]) -> None:
    """Write rows in columns. What does not fit a terminal is cut, or wrapped if too little would be left."""
    table = [[one_line(cell) for cell in row] for row in found]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)][:-1]
    for row in table:
        cells = [cell.ljust(size) for cell, size in zip(row, widths, strict=False)]
        text = "  ".join([*cells, row[-1]]).rstrip()
        if len(text) <= _room():
            write(text)
        elif len(text) - len(row[-1]) + _LEAST_LAST_CELL <= _room():
            write(f"{text[: _room() - 1]}…")
        else:
            line("  ".join(row))


def fields(found: Mapping[str, Any], names: Iterable[str], indent: str = "") -> None:
    """Write the fields that have a value, each after its name."""
    for name in names:
        if found.get(name):
            line(f"{name.replace('_', ' ')}: {one_line(str(found[name]))}", indent)


def select(found: Iterable[dict[str, Any]], fields: Sequence[str]) -> None:
    """Write one array of rows with these fields, in their order."""
    as_json([{field: row.get(field) for field in fields} for row in found])
