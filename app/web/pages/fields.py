"""Converts the schema of an agent's form to HTML fields, and submitted fields to content (contract 15)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any  # JSON

from app.schemas.fields import parse_integer
from app.web.pages.texts import visible

_PREFIX = "content."
_MOST_FIELDS = 50
_MOST_CHOICES = 100
_YES, _NO = "true", "false"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values of a field."""

    value: str
    label: str
    hint: str = ""
    is_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """A field to fill in: choices, or a line of text."""

    name: str
    label: str
    hint: str
    choices: Sequence[Choice] = ()
    is_several: bool = False
    is_number: bool = False
    default: str = ""


def fields_of(schema: Mapping[str, Any] | None) -> list[FormField]:
    """Return the fields of a schema, in its order."""
    return [_field(name, each) for name, each in _properties(schema)]


def content_of(schema: Mapping[str, Any] | None, sent: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the content of a submitted form; empty fields are absent."""
    content = {}
    for name, each in _properties(schema):
        texts = [text for text in sent.get(_PREFIX + name, ()) if text]
        if texts:
            content[name] = _value(each, texts)
    return content


def _properties(schema: Mapping[str, Any] | None) -> list[tuple[str, Mapping[str, Any]]]:
    properties = (schema or {}).get("properties")
    if not isinstance(properties, Mapping):
        return []
    return [(name, each) for name, each in properties.items() if isinstance(each, Mapping)][:_MOST_FIELDS]


def _field(name: str, schema: Mapping[str, Any]) -> FormField:
    is_several, default = schema.get("type") == "array", schema.get("default")
    defaults = [_text(each) for each in (default if isinstance(default, list) else [default])]
    return FormField(
        name=_PREFIX + name,
        label=visible(schema.get("title") or schema.get("description") or name),
        hint=visible(schema.get("description") if schema.get("title") else ""),
        choices=_choices(schema, defaults),
        is_several=is_several,
        is_number=schema.get("type") in {"number", "integer"},
        default=defaults[0],
    )


def _choices(schema: Mapping[str, Any], defaults: Sequence[str]) -> list[Choice]:
    if schema.get("type") == "boolean":
        return [Choice(_YES, "Yes", "", _YES in defaults), Choice(_NO, "No", "", _NO in defaults)]
    items = schema.get("items")
    source = items if isinstance(items, Mapping) else schema
    titled = source.get("oneOf") or source.get("anyOf")
    if isinstance(titled, list):
        options = [each for each in titled if isinstance(each, Mapping) and "const" in each]
    else:
        values = source.get("enum")
        names = source.get("enumNames")
        options = [{"const": value} for value in values] if isinstance(values, list) else []
        if isinstance(names, list) and len(names) == len(options):
            options = [{**option, "title": name} for option, name in zip(options, names, strict=True)]
    return [
        Choice(
            _text(option["const"]),
            visible(option.get("title") or option["const"]),
            visible(option.get("description")),
            _text(option["const"]) in defaults,
        )
        for option in options[:_MOST_CHOICES]
    ]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(schema: Mapping[str, Any], texts: Sequence[str]) -> Any:
    match schema.get("type"):
        case "array":
            return list(texts)
        case "boolean" if texts[0] in {_YES, _NO}:
            return texts[0] == _YES
        case "integer" if (number := parse_integer(texts[0])) is not None:
            return number
        case "number":
            return _number(texts[0])
        case _:
            return texts[0]


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        # The check of the schema reports the error.
        return text
