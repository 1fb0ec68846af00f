"""Find task numbers in the words of a search, and escape words for LIKE. Pure."""

import re

from app.ids import MAX_BIGINT

_TASK_NUMBER = re.compile(r"(?:.*-)?([0-9]+)", re.ASCII | re.DOTALL)


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
