"""Converts forms of agents (ACP elicitation) to questions that all clients can show, and answers back (contract 15.11).

Each property is one question. A text property beside a choice, named with the suffix of Claude (`_custom`) or Codex
(`_note`), holds the text that people write instead of a choice or in addition to it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any  # JSON

import orjson

REJECT = "reject"
# The option ids that clients send when a person leaves the form.
_LEAVING = frozenset({REJECT, "_cancel", "cancel"})
_COMPANIONS = ("_custom", "_note")
# The choice of Codex that stands for a free text.
_OTHER = "None of the above"
_YES, _NO = "Yes", "No"
_SCHEMA_BYTES = 64 * 2**10
_ANSWER_CHARACTERS = 10_000
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_BOUNDS = ("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems")


class FormRefused(Exception):
    """The form cannot be shown to people: it is too large, or asks for a secret."""


class AnswerInvalid(Exception):
    """The answers do not fit the form."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        """Take the problems, each as its place in the content and its text."""
        super().__init__("; ".join(f"{where}: {what}" if where else what for where, what in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Choice:
    """One option of a question."""

    value: str
    label: str
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FormQuestion:
    """One property of a form."""

    name: str
    text: str
    header: str | None
    # A type of JSON Schema; `array`: several choices.
    type: str
    choices: tuple[Choice, ...]
    bounds: Mapping[str, Any]
    # The property for free text.
    companion: str | None

    def shown(self) -> dict[str, Any]:
        """Return the question in the format of Claude's question tool, which clients know."""
        options = [
            {"label": choice.label, **({"description": choice.description} if choice.description else {})}
            for choice in self.choices
        ]
        header = {"header": self.header} if self.header else {}
        return {"question": self.text, **header, "multiSelect": self.type == "array", "options": options}

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema that an answer must satisfy, without patterns: an agent's pattern may never finish."""
        values = {"enum": [choice.value for choice in self.choices]} if self.choices else {}
        match self.type:
            case "array":
                return {"type": "array", "items": {"type": "string", **values}, **self.bounds}
            case "boolean":
                return {"type": "boolean"}
            case "number" | "integer":
                return {"type": self.type, **self.bounds}
            case "string":
                longest = min(self.bounds.get("maxLength", _ANSWER_CHARACTERS), _ANSWER_CHARACTERS)
                return {"type": "string", **values, **self.bounds, "maxLength": longest}
            case _:
                return {}


@dataclass(frozen=True, slots=True)
class Form:
    """The questions of one form."""

    questions: tuple[FormQuestion, ...]
    required: frozenset[str]

    def options(self) -> list[dict[str, Any]]:
        """Return the options of the form in a permission's format: its first question's choices, and a rejection."""
        choices = self.questions[0].choices if self.questions else ()
        names = [choice.label for choice in choices] or ["Submit"]
        offered = [
            {"optionId": f"option_{place}", "name": name, "kind": "allow_once"}
            for place, name in enumerate(names)
        ]
        return [*offered, {"optionId": REJECT, "name": "Skip", "kind": "reject_once"}]

    def answer(self, params: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the action and the content of an answer. Raises AnswerInvalid.

        Args:
            params: `action`, with `content` for `accept`; or `option_id`, as for a permission, with optional `answers`
                by the texts of the questions, and `custom_input`.

        """
        if (action := params.get("action")) is not None:
            content = dict(params.get("content") or {}) if action == "accept" else {}
            if action == "accept":
                self.check(content)
            return action, content
        if params["option_id"] in _LEAVING:
            return "decline", {}
        return "accept", self._read(params)

    def _read(self, params: Mapping[str, Any]) -> dict[str, Any]:
        answers: Mapping[str, str] = params.get("answers") or {}
        if not answers and self.questions:
            answers = self._answer_of_option(params)
        content: dict[str, Any] = {}
        for question in self.questions:
            answer = _answer_to(question, answers, is_only=len(self.questions) == 1)
            if answer is not None and answer.strip():
                content |= _value(question, answer.strip())
        self.check(content)
        return content

    def _answer_of_option(self, params: Mapping[str, Any]) -> dict[str, str]:
        """Return the answer to the first question, from an option or a text alone."""
        first, written = self.questions[0], params.get("custom_input")
        chosen = [
            choice.label
            for place, choice in enumerate(first.choices)
            if params["option_id"] == f"option_{place}"
        ]
        parts = [*chosen, *([written] if written else [])]
        return {first.text: ", ".join(parts)} if parts else {}

    def check(self, content: Mapping[str, Any]) -> None:
        """Raise AnswerInvalid unless this content fits the form."""
        from jsonschema import Draft202012Validator  # noqa: PLC0415 - expensive, and seldom needed

        properties = {question.name: question.schema() for question in self.questions}
        texts = [question.companion for question in self.questions if question.companion]
        properties |= {name: {"type": "string", "maxLength": _ANSWER_CHARACTERS} for name in texts}
        schema = {
            "type": "object",
            "properties": properties,
            "required": sorted(self.required),
            "additionalProperties": False,
        }
        errors = sorted(
            Draft202012Validator(schema).iter_errors(dict(content)), key=lambda error: error.json_path
        )
        if errors:
            raise AnswerInvalid([("__".join(map(str, error.path)), error.message[:200]) for error in errors])

    def as_asked(self, content: Mapping[str, Any], asked: "Form") -> dict[str, Any]:
        """Return content with the agent's own values; `asked` is this form before masking."""
        given: dict[str, Any] = {}
        for own, theirs in zip(self.questions, asked.questions, strict=True):
            if own.name in content:
                values = dict(zip((c.value for c in own.choices), theirs.choices, strict=True))
                given[theirs.name] = _restore_values(content[own.name], values)
            if own.companion and own.companion in content and theirs.companion is not None:
                given[theirs.companion] = content[own.companion]
        return given


def read_form(message: str, schema: Mapping[str, Any]) -> Form:
    """Return the form of an agent's request. Raises FormRefused."""
    if len(orjson.dumps(schema)) > _SCHEMA_BYTES:
        raise FormRefused(f"its schema is larger than {_SCHEMA_BYTES // 2**10} KiB")
    properties: Mapping[str, Mapping[str, Any]] = schema.get("properties") or {}
    companions = _companions(properties)
    asked = [name for name in properties if name not in companions.values()]
    questions: list[FormQuestion] = []
    for name in asked:
        described = properties[name]
        if _is_secret(described):
            raise FormRefused("it asks for a secret, which belongs on a page of its own")
        header, text = described.get("title"), described.get("description")
        if _codex_metadata(described):
            header, text = text, header
        elif len(asked) == 1:
            text = message or text
        text = text or described.get("title") or name
        if any(question.text == text for question in questions):
            text = f"{text} ({name})"
        questions.append(
            FormQuestion(
                name=name,
                text=text,
                header=header,
                type=str(described.get("type")),
                choices=tuple(_choices(described)),
                bounds={bound: described[bound] for bound in _BOUNDS if bound in described},
                companion=companions.get(name),
            )
        )
    required = frozenset(schema.get("required") or ()) & set(properties)
    return Form(tuple(questions), required)


def _companions(properties: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the names of the text properties beside choices, by the names of the choices."""
    return {
        name: f"{name}{ending}"
        for name, described in properties.items()
        for ending in _COMPANIONS
        if any(_choices(described)) and properties.get(f"{name}{ending}", {}).get("type") == "string"
    }


def _choices(described: Mapping[str, Any]) -> Iterator[Choice]:
    if described.get("type") == "boolean":
        yield from (Choice(_YES, _YES), Choice(_NO, _NO))
    listed = described.get("items") if described.get("type") == "array" else described
    listed = listed if isinstance(listed, Mapping) else {}
    for option in listed.get("oneOf") or listed.get("anyOf") or ():
        yield Choice(option["const"], option.get("title") or option["const"], option.get("description"))
    for value in listed.get("enum") or ():
        yield Choice(value, value)


def _codex_metadata(described: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return Codex's own description of a property; empty for a property of another agent."""
    return (described.get("_meta") or {}).get("codex") or {}


def _is_secret(described: Mapping[str, Any]) -> bool:
    return described.get("format") == "password" or bool(_codex_metadata(described).get("isSecret"))


def _answer_to(question: FormQuestion, answers: Mapping[str, str], *, is_only: bool) -> str | None:
    for name in (question.text, question.name):
        if name in answers:
            return answers[name]
    # A client may have shortened the text of a single question.
    return next(iter(answers.values())) if is_only and len(answers) == 1 else None


def _value(question: FormQuestion, answer: str) -> dict[str, Any]:
    """Return the properties that a text answer fills."""
    match question.type:
        case "boolean":
            known = {_YES.lower(): True, "true": True, _NO.lower(): False, "false": False}
            return {question.name: known.get(answer.lower(), answer)}
        case "number" | "integer":
            return {question.name: _number(answer)}
        case "array":
            chosen, rest = _split(question.choices, answer)
            return _fill_properties(question, chosen, rest)
        case _ if question.choices:
            chosen, rest = _split(question.choices, answer, most=1)
            return _fill_properties(question, chosen[0] if chosen else None, rest)
        case _:
            return {question.name: answer}


def _fill_properties(question: FormQuestion, chosen: Any, rest: str) -> dict[str, Any]:
    if rest and not chosen and _OTHER in (choice.value for choice in question.choices):
        chosen = _OTHER
    filled = {question.name: chosen} if chosen else {}
    if rest:
        if question.companion is None:
            labels = ", ".join(choice.label for choice in question.choices)
            raise AnswerInvalid([(question.name, f"The question offers {labels}.")])
        filled[question.companion] = rest
    return filled


def _split(choices: Sequence[Choice], answer: str, most: int | None = None) -> tuple[list[str], str]:
    """Return the values of the comma-separated labels at the start of an answer, and the rest of the answer."""
    longest_first = sorted(choices, key=lambda choice: len(choice.label), reverse=True)
    chosen: list[str] = []
    while answer and (most is None or len(chosen) < most):
        for choice in longest_first:
            if answer == choice.label or answer.startswith(f"{choice.label}, "):
                chosen.append(choice.value)
                answer = answer[len(choice.label) :].removeprefix(",").strip()
                break
        else:
            break
    return list(dict.fromkeys(chosen)), answer


def _number(answer: str) -> Any:
    """Return an answer as a number; a text that is no JSON number is returned unchanged, and the check refuses it."""
    if _NUMBER.fullmatch(answer) is None:
        return answer
    return int(answer) if answer.lstrip("-").isdigit() else float(answer)


def _restore_values(value: Any, values: Mapping[str, Choice]) -> Any:
    if isinstance(value, list):
        return [_restore_values(item, values) for item in value]
    return values[value].value if isinstance(value, str) and value in values else value
