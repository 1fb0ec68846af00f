"""Make a task's title from its description, find task numbers in searches, and escape text for LIKE. Pure."""

import re

from app.ids import MAX_BIGINT

_TITLE_LENGTH = 60
_ELLIPSIS = "..."
_TASK_NUMBER = re.compile(r"(?:.*-)?([0-9]+)", re.ASCII | re.DOTALL)


def title_from_description(description: str) -> str:
    """Return a title for a task: the first line of its description, at most 60 characters (contract 10.2)."""
    first_line = description.strip().partition("\n")[0].strip()
    if len(first_line) <= _TITLE_LENGTH:
        return first_line
    return first_line[: _TITLE_LENGTH - len(_ELLIPSIS)] + _ELLIPSIS


def searched_number(search: str) -> int | None:
    """Return the task number in a search text that is only a number or a slug: 12 for "12" and "ABC-12"; else None."""
    match = _TASK_NUMBER.fullmatch(search)
    if match is None:
        return None
    # Do not parse more digits than any task number has.
    digits = match[1].lstrip("0") or "0"
    number = int(digits) if len(digits) <= len(str(MAX_BIGINT)) else MAX_BIGINT + 1
    return number if number <= MAX_BIGINT else None


def escape_like(text: str) -> str:
    r"""Return `text` escaped so that it matches literally in an SQL LIKE pattern. The escape character is `\`."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
