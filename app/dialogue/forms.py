"""Forms that agents ask people to fill: their questions, what answers fill in, and checks of it (contract 15.11)."""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any  # JSON
from urllib.parse import urlsplit

import orjson

from app.json_types import JsonDict

REJECT = "reject"
YES, NO = "Yes", "No"
_SHOWN_CHARACTERS = 300
_ANSWER_CHARACTERS = 10_000
# The option ids by which a person leaves the form without answers.
_LEAVING = frozenset({REJECT, "_cancel", "cancel"})
_ACTIONS = frozenset({"accept", "decline", "cancel"})
# The choice that Codex offers for a free text.
_OTHER = "None of the above"
_CONTENT_BYTES = 64 * 2**10
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


class AnswerInvalid(Exception):
    """A person's answer does not fit the question. The message names the problem and the place in the form."""

    def __init__(
        self, what: str, *place: str | int, field: str | None = None, code: str = "invalid_input"
    ) -> None:
        self.place = tuple(str(step)[:_SHOWN_CHARACTERS] for step in place)
        self.what = what[:_SHOWN_CHARACTERS]
        self.field = field
        self.code = code
        super().__init__(f"{'__'.join(self.place)}: {self.what}" if place else self.what)


@dataclass(frozen=True, slots=True)
class FormChoice:
    value: str
    label: str
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FormQuestion:
    """One field of a form, as the question that people see: made from one property of the agent's JSON Schema."""

    name: str
    text: str
    header: str | None
    # What the agent says about it in addition.
    hint: str | None
    # A type of JSON Schema; `array`: several choices.
    type: str
    choices: tuple[FormChoice, ...]
    bounds: Mapping[str, Any]
    format: str | None
    default: Any
    # The property for free text.
    companion: str | None

    def describe(self) -> JsonDict:
        """Return the question in the JSON format of Claude's question tool, which clients know."""
        options = [
            {"label": choice.label, **({"description": choice.description} if choice.description else {})}
            for choice in self.choices
        ]
        header = {"header": self.header} if self.header else {}
        return {"question": self.text, **header, "multiSelect": self.type == "array", "options": options}

    def check(self, value: object) -> None:
        """Raise AnswerInvalid unless the value fits. A `pattern` is not applied: matching may take for ever."""
        match self.type:
            case "boolean":
                if not isinstance(value, bool):
                    raise AnswerInvalid("It is neither true nor false.", self.name)
            case "number" | "integer":
                _check_number(value, self.bounds, self.name, is_whole=self.type == "integer")
            case "array":
                _check_choices(value, {choice.value for choice in self.choices}, self.bounds, self.name)
            case _ if self.choices:
                _check_choice(value, {choice.value for choice in self.choices}, self.name)
            case _:
                _check_text(value, self.bounds, self.format, self.name)


@dataclass(frozen=True, slots=True)
class Form:
    questions: tuple[FormQuestion, ...]
    required: frozenset[str]

    def options(self) -> list[JsonDict]:
        """Return the choices of the first question, else Submit, and Skip as options, for clients without forms."""
        choices = self.questions[0].choices if self.questions else ()
        names = [choice.label for choice in choices] or ["Submit"]
        offered = [
            {"optionId": f"option_{place}", "name": name, "kind": "allow_once"}
            for place, name in enumerate(names)
        ]
        return [*offered, {"optionId": REJECT, "name": "Skip", "kind": "reject_once"}]

    def answer(self, params: Mapping[str, Any]) -> tuple[str, JsonDict]:
        """Return the action and the content with which the agent's protocol answers. Raises AnswerInvalid.

        `params` has either `action` (`accept`, `decline` or `cancel`), with `content` to accept; or `option_id`, one of
        the ids in `options`, perhaps with `custom_input`, a text for the first field, or with `answers`, which maps the
        text of each question to its answer. The content, the values by field, is empty unless the form is accepted.
        """
        if (action := params.get("action")) is not None:
            if action not in _ACTIONS:
                raise AnswerInvalid("It is no action of a form.")
            content = dict(params.get("content") or {}) if action == "accept" else {}
            if action == "accept":
                self.check(content)
            return action, content
        if params["option_id"] in _LEAVING:
            return "decline", {}
        return "accept", self._read(params)

    def _read(self, params: Mapping[str, Any]) -> JsonDict:
        if _size([params.get("answers"), params.get("custom_input")]) > _CONTENT_BYTES:
            raise AnswerInvalid(f"It is larger than {_CONTENT_BYTES // 2**10} KiB.")
        answers: Mapping[str, str] = params.get("answers") or {}
        if not answers and self.questions:
            answers = self._answer_of_option(params)
        content: JsonDict = {}
        for question in self.questions:
            answer = _answer_to(question, answers, is_only=len(self.questions) == 1)
            if answer is not None and answer.strip():
                content |= _value(question, answer.strip())
        self.check(content)
        return content

    def _answer_of_option(self, params: Mapping[str, Any]) -> dict[str, str]:
        first, written = self.questions[0], params.get("custom_input")
        chosen = [
            choice.label
            for place, choice in enumerate(first.choices)
            if params["option_id"] == f"option_{place}"
        ]
        parts = [*chosen, *([written] if written else [])]
        return {first.text: ", ".join(parts)} if parts else {}

    def check(self, content: Mapping[str, object]) -> None:
        """Raise AnswerInvalid for the first problem of `content`, an answer's values by field name."""
        if _size(content) > _CONTENT_BYTES:
            raise AnswerInvalid(f"It is larger than {_CONTENT_BYTES // 2**10} KiB.")
        questions = {question.name: question for question in self.questions}
        texts = {question.companion for question in self.questions if question.companion}
        for name, value in content.items():
            if name in questions:
                questions[name].check(value)
            elif name in texts:
                _check_text(value, {}, None, name)
            else:
                raise AnswerInvalid("The form has no such field.", name)
        if missing := sorted(self.required - content.keys()):
            raise AnswerInvalid(f"{missing[0]} is required.")

    @property
    def shape(self) -> list[tuple[str, int, bool]]:
        """What a form and its copy with masked secrets share, unless masking has made two names or choices equal."""
        return [
            (question.type, len(question.choices), question.companion is not None)
            for question in self.questions
        ]

    def as_asked(self, content: Mapping[str, object], original: "Form") -> JsonDict:
        """Convert an answer to this form, in which secrets are masked, to one to `original`, of the same shape."""
        converted: JsonDict = {}
        for question, theirs in zip(self.questions, original.questions, strict=True):
            if question.name in content:
                values = dict(zip((c.value for c in question.choices), theirs.choices, strict=True))
                converted[theirs.name] = _restore_values(content[question.name], values)
            if question.companion and question.companion in content and theirs.companion is not None:
                converted[theirs.companion] = content[question.companion]
        return converted


def _answer_to(question: FormQuestion, answers: Mapping[str, str], *, is_only: bool) -> str | None:
    for name in (question.text, question.name):
        if name in answers:
            return answers[name]
    # A client may have shortened the text of a single question.
    return next(iter(answers.values())) if is_only and len(answers) == 1 else None


def _value(question: FormQuestion, answer: str) -> JsonDict:
    match question.type:
        case "boolean":
            booleans = {YES.lower(): True, "true": True, NO.lower(): False, "false": False}
            return {question.name: booleans.get(answer.lower(), answer)}
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


def _fill_properties(question: FormQuestion, chosen: object, rest: str) -> JsonDict:
    if rest and not chosen and _OTHER in (choice.value for choice in question.choices):
        chosen = _OTHER
    filled = {question.name: chosen} if chosen else {}
    if rest:
        if question.companion is None:
            labels = ", ".join(choice.label for choice in question.choices)
            raise AnswerInvalid(f"The question offers {labels}.", question.name)
        filled[question.companion] = rest
    return filled


def _split(choices: Sequence[FormChoice], answer: str, most: int | None = None) -> tuple[list[str], str]:
    # Returns the values of the labels at the start of an answer, separated by commas, and the rest of the answer.
    left = sorted(choices, key=lambda choice: len(choice.label), reverse=True)
    chosen: list[str] = []
    while answer and left and (most is None or len(chosen) < most):
        for choice in left:
            if answer == choice.label or answer.startswith(f"{choice.label}, "):
                chosen.append(choice.value)
                left.remove(choice)
                answer = answer[len(choice.label) :].removeprefix(",").strip()
                break
        else:
            break
    return chosen, answer


def _number(answer: str) -> Any:
    # A text that is no number stays a text, which `check` refuses.
    if _NUMBER.fullmatch(answer) is None:
        return answer
    return int(answer) if answer.lstrip("-").isdigit() else float(answer)


def _restore_values(value: object, values: Mapping[str, FormChoice]) -> Any:
    if isinstance(value, list):
        return [_restore_values(item, values) for item in value]
    return values[value].value if isinstance(value, str) and value in values else value


def _size(value: object) -> int:
    try:
        return len(orjson.dumps(value))
    except TypeError:
        return _CONTENT_BYTES + 1


def _check_text(value: Any, bounds: Mapping[str, Any], format_: str | None, name: str) -> None:
    if not isinstance(value, str):
        raise AnswerInvalid("It is no text.", name)
    longest = min(bounds.get("maxLength", _ANSWER_CHARACTERS), _ANSWER_CHARACTERS)
    if len(value) > longest:
        raise AnswerInvalid(f"It is longer than {longest} characters.", name)
    if len(value) < (shortest := bounds.get("minLength", 0)):
        raise AnswerInvalid(f"It is shorter than {shortest} characters.", name)
    if format_ is not None and format_ in _FORMATS and not _has_format(value, _FORMATS[format_]):
        raise AnswerInvalid(f"It does not have the format {format_}.", name)


def _check_number(value: Any, bounds: Mapping[str, Any], name: str, *, is_whole: bool) -> None:
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


def _check_choice(value: object, offered: Collection[str], *place: str | int) -> None:
    if not isinstance(value, str) or value not in offered:
        raise AnswerInvalid("It is none of the choices.", *place)


def _check_choices(value: Any, offered: Collection[str], bounds: Mapping[str, Any], name: str) -> None:
    if not isinstance(value, list):
        raise AnswerInvalid("It is no list.", name)
    most = min(bounds.get("maxItems", len(offered)), len(offered))
    if len(value) > most:
        raise AnswerInvalid(f"It has more than {most} choices.", name)
    if len(value) < (least := bounds.get("minItems", 0)):
        raise AnswerInvalid(f"It has fewer than {least} choices.", name)
    for place, each in enumerate(value):
        _check_choice(each, offered, name, place)
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
