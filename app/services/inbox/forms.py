"""Checks the content of a form by the agent's schema (contract 15).

Since the schema comes from an agent, only keywords that are fast to check are applied: no patterns, no references.
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
    """Return if the content satisfies the schema.

    Raises:
        InvalidInput: the content does not satisfy it; `attr` is the path of the first wrong value.

    """
    # The import is expensive, and few requests need it.
    import jsonschema  # noqa: PLC0415

    try:
        validator = jsonschema.Draft202012Validator(_applied(schema))
        error = next(
            iter(sorted(validator.iter_errors(content), key=lambda each: list(map(str, each.path)))), None
        )
    except (TypeError, ValueError, AttributeError, RecursionError):
        # A schema that cannot be applied is left to the agent to check.
        return
    if error is not None:
        attr = "__".join((_ATTR, *map(str, error.path)))
        raise InvalidInput(error.message[:_SHOWN_CHARACTERS], attr=attr)


def _applied(schema: Any) -> Any:
    """Return the part of a schema that is checked here."""
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
