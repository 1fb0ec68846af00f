"""Checks whether a value answers a form's question, in one pass, whatever bounds the agent has set."""

import math
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from typing import Any  # JSON
from urllib.parse import urlsplit

from app.forms.errors import AnswerInvalid

ANSWER_CHARACTERS = 10_000


def check_text(value: Any, bounds: Mapping[str, Any], format_: str | None, name: str) -> None:
    """Raise AnswerInvalid unless the value is a string that has an allowed length and the given format.

    `bounds` may have `minLength` and `maxLength` of JSON Schema. If `format_` is None or unknown, the format is not
    checked. `name` is the field that the error names.
    """
    if not isinstance(value, str):
        raise AnswerInvalid("It is no text.", name)
    longest = min(bounds.get("maxLength", ANSWER_CHARACTERS), ANSWER_CHARACTERS)
    if len(value) > longest:
        raise AnswerInvalid(f"It is longer than {longest} characters.", name)
    if len(value) < (shortest := bounds.get("minLength", 0)):
        raise AnswerInvalid(f"It is shorter than {shortest} characters.", name)
    if format_ is not None and format_ in _FORMATS and not _has_format(value, _FORMATS[format_]):
        raise AnswerInvalid(f"It does not have the format {format_}.", name)


def check_number(value: Any, bounds: Mapping[str, Any], name: str, *, is_whole: bool) -> None:
    """Raise AnswerInvalid unless the value is a finite number within the bounds, and an integer if `is_whole`.

    `bounds` are `minimum`, `maximum`, `exclusiveMinimum` and `exclusiveMaximum` of JSON Schema. `name` is the field
    that the error names.
    """
    kinds = int if is_whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value):
        raise AnswerInvalid("It is no integer." if is_whole else "It is no number.", name)
    if value < (least := bounds.get("minimum", value)):
        raise AnswerInvalid(f"It is less than {least}.", name)
    if value > (most := bounds.get("maximum", value)):
        raise AnswerInvalid(f"It is more than {most}.", name)
    if "exclusiveMinimum" in bounds and value <= bounds["exclusiveMinimum"]:
        raise AnswerInvalid(f"It is not more than {bounds['exclusiveMinimum']}.", name)
    if "exclusiveMaximum" in bounds and value >= bounds["exclusiveMaximum"]:
        raise AnswerInvalid(f"It is not less than {bounds['exclusiveMaximum']}.", name)


def check_choice(value: Any, offered: Collection[str], *place: str | int) -> None:
    """Raise AnswerInvalid unless the value is one of the offered choices.

    `place` is the path of the value in the answer; the error names it.
    """
    if not isinstance(value, str) or value not in offered:
        raise AnswerInvalid("It is none of the choices.", *place)


def check_choices(value: Any, offered: Collection[str], bounds: Mapping[str, Any], name: str) -> None:
    """Raise AnswerInvalid unless the value is a list of offered choices, without repetition and within the bounds.

    `bounds` are `minItems` and `maxItems` of JSON Schema. `name` is the field that the error names.
    """
    if not isinstance(value, list):
        raise AnswerInvalid("It is no list.", name)
    most = min(bounds.get("maxItems", len(offered)), len(offered))
    if len(value) > most:
        raise AnswerInvalid(f"It has more than {most} choices.", name)
    if len(value) < (least := bounds.get("minItems", 0)):
        raise AnswerInvalid(f"It has fewer than {least} choices.", name)
    for place, each in enumerate(value):
        check_choice(each, offered, name, place)
    if len(set(value)) < len(value):
        raise AnswerInvalid("It has a choice twice.", name)


def _is_email(text: str) -> bool:
    before, _, host = text.rpartition("@")
    return bool(before and host) and not any(character.isspace() for character in text)


def _is_uri(text: str) -> bool:
    parts = urlsplit(text)
    return bool(parts.scheme and (parts.netloc or parts.path)) and not any(each.isspace() for each in text)


def _is_date(text: str) -> bool:
    return date.fromisoformat(text).isoformat() == text


def _is_moment(text: str) -> bool:
    return "T" in text.upper() and datetime.fromisoformat(text).tzinfo is not None


_FORMATS: Mapping[str, Callable[[str], bool]] = {
    "email": _is_email,
    "uri": _is_uri,
    "date": _is_date,
    "date-time": _is_moment,
}


def _has_format(text: str, is_of: Callable[[str], bool]) -> bool:
    try:
        return is_of(text)
    except ValueError:
        return False
