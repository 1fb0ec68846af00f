"""Convert the JSON Schema of an agent's form to HTML fields, and submitted fields to JSON (contract 15)."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any  # JSON

from app.forms import Form, FormQuestion, FormRefused, read_form
from app.schemas.fields import parse_integer
from app.services.inbox.questions import QuestionRow

_PREFIX = "content."
_YES, _NO = "true", "false"


@dataclass(frozen=True, slots=True)
class Choice:
    """One value that a person can choose for a field of an HTML form, with its label and hint."""

    value: str
    label: str
    hint: str = ""
    is_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """A field of an HTML form. A person chooses from `choices`, or writes a line of text if there are no choices."""

    name: str
    label: str
    hint: str
    choices: Sequence[Choice] = ()
    is_several: bool = False
    is_number: bool = False
    default: str = ""


def form_of(question: QuestionRow) -> Form | None:
    """Return the form that an agent's question asks a person to fill, or None if its schema is not supported."""
    try:
        return read_form(question.detail, question.schema or {})
    except FormRefused:
        return None


def fields_of(form: Form) -> list[FormField]:
    """Return the fields of the HTML form that shows the agent's form `form`, in the order of the agent's form."""
    return [field for question in form.questions for field in _fields(question)]


def content_of(form: Form, sent: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Convert the submitted fields of an HTML form to an answer: a value for each field name of the agent's form."""
    content: dict[str, Any] = {}
    for question in form.questions:
        if texts := _sent(sent, question.name):
            content[question.name] = _value(question.type, texts)
        if question.companion and (texts := _sent(sent, question.companion)):
            content[question.companion] = texts[0]
    return content


def _sent(sent: Mapping[str, Sequence[str]], name: str) -> list[str]:
    return [text for text in sent.get(_PREFIX + name, ()) if text]


def _fields(question: FormQuestion) -> list[FormField]:
    given = question.default
    defaults = [_text(each) for each in (given if isinstance(given, list) else [given])]
    hints = dict.fromkeys(
        each for each in (question.header, question.hint) if each not in {None, question.text}
    )
    field = FormField(
        name=_PREFIX + question.name,
        label=visible(question.text),
        hint=visible(" · ".join(map(str, hints))),
        choices=_choices(question, defaults),
        is_several=question.type == "array",
        is_number=question.type in {"number", "integer"},
        default=next(iter(defaults), ""),
    )
    if question.companion is None:
        return [field]
    own = FormField(name=_PREFIX + question.companion, label="Your own words", hint=visible(question.text))
    return [field, own]


def _choices(question: FormQuestion, defaults: Sequence[str]) -> list[Choice]:
    if question.type == "boolean":
        return [Choice(_YES, "Yes", "", _YES in defaults), Choice(_NO, "No", "", _NO in defaults)]
    return [
        Choice(
            choice.value, visible(choice.label), visible(choice.description or ""), choice.value in defaults
        )
        for choice in question.choices
    ]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(type_: str, texts: Sequence[str]) -> Any:
    match type_:
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
        # The check of the form reports the error.
        return text


# Invisible characters in ordinary words and emoji, which are kept.
_JOINERS = frozenset("\u200c\u200d\ufe0f")
_SPACES = frozenset("\n\t ")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(value: Any) -> str:
    """Return a value as text in which a code such as ⟨U+202E⟩ replaces each invisible character."""
    return "".join(map(_escape, "" if value is None else str(value)))


def _escape(character: str) -> str:
    if character in _SPACES or character in _JOINERS or unicodedata.category(character) not in _HIDDEN:
        return character
    return f"⟨U+{ord(character):04X}⟩"
