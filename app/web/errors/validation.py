"""Map Pydantic's list of errors to the one that is reported: of the first declared field (contract 2.4)."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.errors import InvalidInput


def first_error(errors: Sequence[Mapping[str, Any]], *, skip: int = 0) -> InvalidInput:
    """Return the first of Pydantic's errors, as the error that is reported to the client."""
    error = errors[0]
    # A field may report an error of a nested value that has no location of its own in the input.
    below = error.get("ctx", {}).get("below", ())
    attr = "__".join(str(part) for part in (*error["loc"][skip:], *below)) or None
    if error["type"] == "missing":
        return InvalidInput("This field is required.", code="required", attr=attr)
    if error["type"] == "model_type":
        # An item of a list of objects is not an object.
        received = type(error["input"]).__name__
        text = f"Invalid data. Expected a dictionary, but got {received}."
        return InvalidInput(text, attr=attr)
    return InvalidInput(error["msg"], code=error["type"], attr=attr)
