"""Shapes of answers: the keys and types that this client reads. Any other answer is an error."""

import json
from collections.abc import Mapping
from types import EllipsisType, UnionType
from typing import Any, TypeAlias, TypeVar

from taskbeacon.client.errors import bad_answer

T = TypeVar("T")
# An object by its keys; a list by its first item (0) or all items; `(shape, None)` if it may be absent; or a type.
Shape: TypeAlias = Mapping[Any, Any] | list[Any] | tuple[Any, None] | type | UnionType


def checked(answer: T, shape: Shape, at: str = "answer") -> T:
    """Return an answer, or a part of one, unchanged if it has this shape. Raises ServerError."""
    wanted: Any = shape
    found: Any = answer
    match wanted, found:
        case {0: inner}, [first, *_]:
            checked(first, inner, f"{at}.0")
        case dict(), dict():
            for key, inner in wanted.items():
                checked(found.get(key, ...), inner, f"{at}.{key}")
        case [inner], list():
            for number, item in enumerate(found):
                checked(item, inner, f"{at}.{number}")
        case (inner, None), _:
            if not isinstance(found, EllipsisType | None):
                checked(found, inner, at)
        case ((type() | UnionType() as kind), _) if isinstance(found, kind):
            pass
        case _:
            raise bad_answer(f"The server's answer is not what the API describes ({at}).")
    return answer


def parsed(text: str | bytes, what: str = "The server's answer", **of: Any) -> Any:  # Any: JSON
    """Return the JSON that the server has sent. Raises ServerError if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise bad_answer(f"{what} is no JSON.", **of) from None
