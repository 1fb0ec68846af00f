"""A form of an agent as questions that all clients can show, and the conversion of answers (contract 15.11).

Each property is one question. A text property that accompanies a choice, named with the suffix of Claude (`_custom`) or
Codex (`_note`), holds the text that people write instead of a choice or in addition to it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any  # JSON

import orjson

from app.forms.errors import AnswerInvalid
from app.forms.values import check_choice, check_choices, check_number, check_text

REJECT = "reject"
YES, NO = "Yes", "No"
# The option ids that clients send when a person leaves the form.
_LEAVING = frozenset({REJECT, "_cancel", "cancel"})
_ACTIONS = frozenset({"accept", "decline", "cancel"})
# The choice of Codex that stands for a free text.
_OTHER = "None of the above"
_CONTENT_BYTES = 64 * 2**10
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice that a person can select as the answer to one question of a form."""

    value: str
    label: str
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FormQuestion:
    """One field of a form, as the question that people see: made from one property of the agent's JSON Schema."""

    name: str
    text: str
    header: str | None
    # What else the agent says of it.
    hint: str | None
    # A type of JSON Schema; `array`: several choices.
    type: str
    choices: tuple[Choice, ...]
    bounds: Mapping[str, Any]
    format: str | None
    default: Any
    # The property for free text.
    companion: str | None

    def describe(self) -> dict[str, Any]:
        """Return the question in the JSON format of Claude's question tool, which clients know."""
        options = [
            {"label": choice.label, **({"description": choice.description} if choice.description else {})}
            for choice in self.choices
        ]
        header = {"header": self.header} if self.header else {}
        return {"question": self.text, **header, "multiSelect": self.type == "array", "options": options}

    def check(self, value: Any) -> None:
        """Raise AnswerInvalid unless the value is a valid answer to this question.

        Regular expressions in the agent's schema (`pattern`) are not applied, because matching one can take for ever.
        """
        match self.type:
            case "boolean":
                if not isinstance(value, bool):
                    raise AnswerInvalid("It is neither true nor false.", self.name)
            case "number" | "integer":
                check_number(value, self.bounds, self.name, is_whole=self.type == "integer")
            case "array":
                check_choices(value, {choice.value for choice in self.choices}, self.bounds, self.name)
            case _ if self.choices:
                check_choice(value, {choice.value for choice in self.choices}, self.name)
            case _:
                check_text(value, self.bounds, self.format, self.name)


@dataclass(frozen=True, slots=True)
class Form:
    """A form that an agent sent: its fields (`questions`), and the names of those that must be filled (`required`)."""

    questions: tuple[FormQuestion, ...]
    required: frozenset[str]

    def options(self) -> list[dict[str, Any]]:
        """Return the choices of the first question as options of a permission request, followed by the option Skip.

        If the question has no choices, Submit takes their place. Only clients that cannot show forms use these
        options.
        """
        choices = self.questions[0].choices if self.questions else ()
        names = [choice.label for choice in choices] or ["Submit"]
        offered = [
            {"optionId": f"option_{place}", "name": name, "kind": "allow_once"}
            for place, name in enumerate(names)
        ]
        return [*offered, {"optionId": REJECT, "name": "Skip", "kind": "reject_once"}]

    def answer(self, params: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Convert a client's answer to the action and the content with which the agent's protocol answers a form.

        The action is `accept`, `decline` or `cancel`. The content, the values by field, is empty unless the action is
        `accept`.

        Args:
            params: either `action`, with `content` if the action is `accept`; or `option_id`, one of the ids in
                `options`. It may come with `custom_input`, a text for the first field, or with `answers`, which maps
                the text of each question to its answer.

        Raises:
            AnswerInvalid: the answer does not fit the form.

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

    def _read(self, params: Mapping[str, Any]) -> dict[str, Any]:
        if _size([params.get("answers"), params.get("custom_input")]) > _CONTENT_BYTES:
            raise AnswerInvalid(f"It is larger than {_CONTENT_BYTES // 2**10} KiB.")
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
        """Return an answer to the first question: the chosen option, the free text, or both."""
        first, written = self.questions[0], params.get("custom_input")
        chosen = [
            choice.label
            for place, choice in enumerate(first.choices)
            if params["option_id"] == f"option_{place}"
        ]
        parts = [*chosen, *([written] if written else [])]
        return {first.text: ", ".join(parts)} if parts else {}

    def check(self, content: Mapping[str, Any]) -> None:
        """Raise AnswerInvalid unless `content`, an answer's values by field name, fits the form.

        An answer does not fit if it is too large, or if a field is unknown, invalid or missing. The error names the
        first problem only.
        """
        if _size(content) > _CONTENT_BYTES:
            raise AnswerInvalid(f"It is larger than {_CONTENT_BYTES // 2**10} KiB.")
        known = {question.name: question for question in self.questions}
        texts = {question.companion for question in self.questions if question.companion}
        for name, value in content.items():
            if name in known:
                known[name].check(value)
            elif name in texts:
                check_text(value, {}, None, name)
            else:
                raise AnswerInvalid("The form has no such field.", name)
        if missing := sorted(self.required - content.keys()):
            raise AnswerInvalid(f"{missing[0]} is required.")

    @property
    def shape(self) -> list[tuple[str, int, bool]]:
        """For each field of the form, its type, the number of its choices, and whether free text can be added to it.

        A form and its copy with masked secrets have the same shape. The only exception is a copy in which masking has
        made two names or two choices equal.
        """
        return [
            (question.type, len(question.choices), question.companion is not None)
            for question in self.questions
        ]

    def as_asked(self, content: Mapping[str, Any], asked: "Form") -> dict[str, Any]:
        """Convert an answer to this form, in which secrets are masked, to an answer to the agent's own form.

        Args:
            content: the answer, by the names of this form's fields.
            asked: the agent's own form, in which nothing is masked. It must have the same `shape` as this one.

        """
        given: dict[str, Any] = {}
        for own, theirs in zip(self.questions, asked.questions, strict=True):
            if own.name in content:
                values = dict(zip((c.value for c in own.choices), theirs.choices, strict=True))
                given[theirs.name] = _restore_values(content[own.name], values)
            if own.companion and own.companion in content and theirs.companion is not None:
                given[theirs.companion] = content[own.companion]
        return given


def _answer_to(question: FormQuestion, answers: Mapping[str, str], *, is_only: bool) -> str | None:
    for name in (question.text, question.name):
        if name in answers:
            return answers[name]
    # A client may have shortened the text of a single question.
    return next(iter(answers.values())) if is_only and len(answers) == 1 else None


def _value(question: FormQuestion, answer: str) -> dict[str, Any]:
    """Return the content of the form that a text answer to one question makes."""
    match question.type:
        case "boolean":
            known = {YES.lower(): True, "true": True, NO.lower(): False, "false": False}
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
            raise AnswerInvalid(f"The question offers {labels}.", question.name)
        filled[question.companion] = rest
    return filled


def _split(choices: Sequence[Choice], answer: str, most: int | None = None) -> tuple[list[str], str]:
    """Return the values of the comma-separated labels at the start of an answer, and the rest of it."""
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
    """Return the number in a text; a text that is no JSON number is returned unchanged, and refused later."""
    if _NUMBER.fullmatch(answer) is None:
        return answer
    return int(answer) if answer.lstrip("-").isdigit() else float(answer)


def _restore_values(value: Any, values: Mapping[str, Choice]) -> Any:
    if isinstance(value, list):
        return [_restore_values(item, values) for item in value]
    return values[value].value if isinstance(value, str) and value in values else value


def _size(value: Any) -> int:
    """Return the size of a value as JSON in bytes; more than the limit if it cannot be JSON."""
    try:
        return len(orjson.dumps(value))
    except TypeError:
        return _CONTENT_BYTES + 1
