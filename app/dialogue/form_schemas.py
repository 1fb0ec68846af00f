"""Read the JSON Schema by which an agent asks for a form (ACP elicitation; contract 15.11).

Each property is one question; nested schemas and other types are refused. A text property that accompanies a choice,
named with the suffix of Claude (`_custom`) or Codex (`_note`), holds the text that people write instead of a choice or
in addition to it.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Never  # JSON

import orjson

from app.dialogue.forms import NO, YES, Form, FormChoice, FormQuestion

_SCHEMA_BYTES = 64 * 2**10
_NAME_CHARACTERS = 255
_MOST_QUESTIONS = 50
# The most choices of all questions of a form together.
_MOST_CHOICES = 500
_COMPANIONS = ("_custom", "_note")
_TYPES = frozenset({"string", "number", "integer", "boolean", "array"})
_COUNTS = frozenset({"minLength", "maxLength", "minItems", "maxItems"})
_NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
# Keywords that restrict answers in ways that a question cannot show.
_NOT_FLAT = frozenset({"$ref", "allOf", "not", "if", "const", "properties"})
_LISTS = frozenset({"enum", "oneOf", "anyOf"})
_OPTION_KEYS = frozenset({"const", "title", "description", "type", "_meta"})
_SECRET = re.compile(
    r"\b(passwords?|passwd|passphrase|passcode|token|secrets?|credentials?|(api|access|private|ssh) ?keys?)\b"
)
_WORD_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")


class FormRefused(Exception):
    """An agent's form cannot be shown to people: it is nested, malformed or too large, or it asks for a secret."""


def read_form(message: str, schema: Any) -> Form:
    """Return the form that an agent's message and JSON Schema describe. Raises FormRefused."""
    try:
        size = len(orjson.dumps(schema))
    except TypeError:
        raise FormRefused("its schema is no JSON") from None
    if size > _SCHEMA_BYTES:
        raise FormRefused(f"its schema is larger than {_SCHEMA_BYTES // 2**10} KiB")
    properties = _properties(schema)
    choices = {name: _choices_of(name, described) for name, described in properties.items()}
    companions = {
        name: f"{name}{ending}"
        for name in properties
        for ending in _COMPANIONS
        if choices[name] and properties.get(f"{name}{ending}", {}).get("type") == "string"
    }
    question_names = [name for name in properties if name not in companions.values()]
    if len(question_names) > _MOST_QUESTIONS or sum(map(len, choices.values())) > _MOST_CHOICES:
        raise FormRefused(f"it has more than {_MOST_QUESTIONS} questions or {_MOST_CHOICES} choices")
    questions: list[FormQuestion] = []
    for name in question_names:
        described = properties[name]
        if _is_secret(name, described, has_choices=bool(choices[name])):
            raise FormRefused("it asks for a secret, which belongs on a page of its own")
        header, description = _words(described, "title", name), _words(described, "description", name)
        text = description
        if _codex_metadata(described):
            header, text = text, header
        elif len(question_names) == 1:
            text = message or text
        text = text or header or name
        hint = description if description not in {text, header} else None
        if any(question.text == text for question in questions):
            text = f"{text} ({name})"
        questions.append(
            FormQuestion(
                name=name,
                text=text,
                header=header,
                hint=hint,
                type=described["type"],
                choices=choices[name],
                bounds=dict(_bounds(name, described)),
                format=_words(described, "format", name),
                default=described.get("default"),
                companion=companions.get(name),
            )
        )
    return Form(tuple(questions), _read_required(schema) & properties.keys())


def _properties(schema: Any) -> Mapping[str, Mapping[str, Any]]:
    properties = schema.get("properties", {}) if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping) or schema.get("type", "object") != "object":
        raise FormRefused("its schema is no object with properties")
    if schema.keys() & (_LISTS | _NOT_FLAT - {"properties"}):
        raise FormRefused("its schema is not flat")
    for name, described in properties.items():
        if not name or len(name) > _NAME_CHARACTERS:
            raise FormRefused("a property has no name, or a long one")
        type_ = described.get("type") if isinstance(described, Mapping) else None
        if not isinstance(type_, str) or type_ not in _TYPES or described.keys() & _NOT_FLAT:
            _refuse(name)
    return properties


def _read_required(schema: Mapping[str, object]) -> frozenset[str]:
    required = schema.get("required") or []
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise FormRefused("its required properties are no list of names")
    return frozenset(required)


def _choices_of(name: str, described: Mapping[str, object]) -> tuple[FormChoice, ...]:
    if described["type"] == "boolean":
        return FormChoice(YES, YES), FormChoice(NO, NO)
    is_several = described["type"] == "array"
    listed = described.get("items") if is_several else described
    if not isinstance(listed, Mapping) or listed.get("type", "string") != "string":
        if is_several or described.keys() & _LISTS:
            _refuse(name)
        return ()
    keywords = [each for each in ("oneOf", "anyOf", "enum") if each in listed]
    if not keywords and not is_several:
        return ()
    if len(keywords) != 1 or not isinstance(listed[keywords[0]], list) or not listed[keywords[0]]:
        _refuse(name)
    choices = {choice.value: choice for choice in _choices(name, listed, listed[keywords[0]])}
    return tuple(choices.values())


def _choices(name: str, listed: Mapping[str, object], options: list[Any]) -> Iterator[FormChoice]:
    labels = listed.get("enumNames")
    if (
        not isinstance(labels, list)
        or len(labels) != len(options)
        or not all(isinstance(label, str) for label in labels)
    ):
        labels = [None] * len(options)
    for place, option in enumerate(options):
        if "enum" in listed:
            value, label, description = option, labels[place], None
        elif isinstance(option, Mapping) and option.keys() <= _OPTION_KEYS:
            value, label = option.get("const"), _words(option, "title", name)
            description = _words(option, "description", name)
        else:
            _refuse(name)
        if not isinstance(value, str):
            _refuse(name)
        yield FormChoice(value, label or value, description)


def _bounds(name: str, described: Mapping[str, object]) -> Iterator[tuple[str, int | float]]:
    for bound in sorted((_COUNTS | _NUMBERS) & described.keys()):
        value = described[bound]
        kinds = int if bound in _COUNTS else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value):
            _refuse(name)
        yield bound, value


def _words(described: Mapping[str, object], key: str, name: str) -> str | None:
    words = described.get(key)
    if words is not None and not isinstance(words, str):
        _refuse(name)
    return words or None


def _codex_metadata(described: Mapping[str, object]) -> Mapping[str, object]:
    meta = described.get("_meta")
    of_codex = meta.get("codex") if isinstance(meta, Mapping) else None
    return of_codex if isinstance(of_codex, Mapping) else {}


def _is_secret(name: str, described: Mapping[str, object], *, has_choices: bool) -> bool:
    if described.get("format") == "password" or _codex_metadata(described).get("isSecret"):
        return True
    if described["type"] != "string" or has_choices:
        return False
    labels = (_WORD_BORDER.sub(" ", text).lower() for text in (name, str(described.get("title"))))
    return any(_SECRET.search(text) for text in labels)


def _refuse(name: str) -> Never:
    raise FormRefused(f"its property {name[:_NAME_CHARACTERS]} is no text, number, boolean or choice")
