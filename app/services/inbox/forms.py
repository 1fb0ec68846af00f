"""Whether the content of a form is what its agent asked for (contract 15).

The schema comes from an agent, so only keywords are applied that cannot take long: no pattern, no reference.
"""

from collections.abc import Mapping
from typing import Any  # JSON

from app.errors import InvalidInput

_ATTR = "content"
_SHOWN_CHARACTERS = 500
_PLAIN = frozenset(
    {
        "type",
        "required",
        "enum",
        "const",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minItems",
        "maxItems",
        "uniqueItems",
    }
)
_OF_ONE = frozenset({"items", "additionalProperties"})
_OF_SEVERAL = frozenset({"oneOf", "anyOf", "allOf"})


def require_content(content: Any, schema: Mapping[str, Any]) -> None:
    """Return if the content meets the schema.

    Raises:
        InvalidInput: it does not; `attr` is the way to the first value that is wrong.

    """
    # Expensive to import, and few requests need it.
    import jsonschema  # noqa: PLC0415

    try:
        validator = jsonschema.Draft202012Validator(_applied(schema))
        error = next(
            iter(sorted(validator.iter_errors(content), key=lambda each: list(map(str, each.path)))), None
        )
    except (TypeError, ValueError, AttributeError, RecursionError):
        # What cannot be applied is left to the agent.
        return
    if error is not None:
        attr = "__".join((_ATTR, *map(str, error.path)))
        raise InvalidInput(error.message[:_SHOWN_CHARACTERS], attr=attr)


def _applied(schema: Any) -> Any:
    """Return the part of a schema that is applied."""
    if not isinstance(schema, Mapping):
        return schema if isinstance(schema, bool) else True
    applied: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _PLAIN:
            applied[name] = value
        elif name in _OF_ONE:
            applied[name] = _applied(value)
        elif name in _OF_SEVERAL and isinstance(value, list):
            applied[name] = [_applied(each) for each in value]
        elif name == "properties" and isinstance(value, Mapping):
            applied[name] = {key: _applied(each) for key, each in value.items()}
    return applied
