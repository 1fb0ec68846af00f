"""Whether an answer fits its question, and the command that it becomes (contract 15.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from app.dialogue.forms import REJECT, AnswerInvalid
from app.enums import CommandMethod, QuestionKind
from app.services.questions.answer_validation import Answer, read_answer

JSON = dict[str, Any]
FORM: JSON = {"type": "object", "required": ["port"], "properties": {"port": {"type": "integer"}}}


@dataclass(frozen=True)
class Asked:
    kind: QuestionKind
    options: Sequence[Mapping[str, Any]] = ({"id": "yes"}, {"id": REJECT}, {"id": "waive"})
    request_id: str = "r"
    detail: str = "Which port?"
    schema: JSON | None = None


def fitting(
    kind: QuestionKind, given: JSON, *, is_command: bool = False, schema: JSON | None = FORM
) -> Answer:
    return read_answer(Asked(kind, schema=schema), given, is_command=is_command)


PERMISSION, FORM_KIND, URL, MESSAGE, VERDICT = (
    QuestionKind.PERMISSION,
    QuestionKind.FORM,
    QuestionKind.URL,
    QuestionKind.MESSAGE,
    QuestionKind.VERDICT,
)


@pytest.mark.parametrize(
    ("kind", "given", "is_command", "params"),
    [
        (PERMISSION, {"option_id": "yes"}, False, {"option_id": "yes"}),
        (
            PERMISSION,
            {"option_id": "yes", "custom_input": "ok", "action": "accept"},
            False,
            {"option_id": "yes", "custom_input": "ok"},
        ),
        (FORM_KIND, {"action": "decline", "content": {"port": 1}}, False, {"action": "decline"}),
        (
            FORM_KIND,
            {"action": "accept", "content": {"port": 1}},
            False,
            {"action": "accept", "content": {"port": 1}},
        ),
        (URL, {"action": "accept"}, False, {"action": "accept"}),
        # Commands choose an option for a page too.
        (URL, {"option_id": "yes"}, True, {"option_id": "yes", "action": "accept"}),
        (URL, {"option_id": REJECT}, True, {"option_id": REJECT, "action": "decline"}),
    ],
)
def test_answer_becomes_the_response_to_its_request(
    kind: QuestionKind, given: JSON, is_command: bool, params: JSON
) -> None:
    answer = fitting(kind, given, is_command=is_command)
    assert answer == Answer(CommandMethod.PERMISSION_RESPONSE, {"request_id": "r", **params})
    assert answer.shown == params


def test_form_that_cannot_be_read_can_be_declined() -> None:
    declined = fitting(FORM_KIND, {"action": "decline"}, schema={"type": "array"})
    assert declined.params == {"request_id": "r", "action": "decline"}


def test_message_is_shown_up_to_a_number_of_characters() -> None:
    answer = fitting(MESSAGE, {"text": "x" * 5000})
    assert answer.method is CommandMethod.USER_MESSAGE
    assert answer.params == {"content": "x" * 5000, "artifact_ids": []}
    assert answer.shown == {"text": "x" * 4000}
    blocks = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]
    assert Answer(CommandMethod.USER_MESSAGE, {"content": blocks}).shown == {"text": "a\nb"}


@pytest.mark.parametrize("reason", [None, "x" * 501])
def test_waiver_needs_a_reason_of_some_length(reason: str | None) -> None:
    with pytest.raises(AnswerInvalid) as refused:
        fitting(VERDICT, {"option_id": "waive", "custom_input": reason})
    assert (refused.value.field, refused.value.code) == (
        "custom_input",
        "required" if reason is None else "max_length",
    )
    waived = fitting(VERDICT, {"option_id": "waive", "custom_input": "x" * 500})
    assert (waived.method, fitting(VERDICT, {"option_id": "yes"}).method) == (None, None)


@pytest.mark.parametrize(
    ("kind", "given", "schema", "field", "code"),
    [
        (PERMISSION, {"action": "accept"}, FORM, "option_id", "invalid_input"),
        (PERMISSION, {"option_id": "other"}, FORM, "option_id", "invalid_choice"),
        (PERMISSION, {"option_id": "yes", "content": {}}, FORM, "content", "invalid_input"),
        (MESSAGE, {"option_id": "yes"}, FORM, "text", "invalid_input"),
        (FORM_KIND, {"option_id": "yes"}, FORM, "action", "invalid_input"),
        (FORM_KIND, {"action": "accept", "content": {"port": "high"}}, FORM, "content", "invalid_input"),
        (FORM_KIND, {"action": "accept", "content": {}}, {"type": "array"}, "content", "invalid_input"),
    ],
)
def test_answer_that_does_not_fit_names_its_field(
    kind: QuestionKind, given: JSON, schema: JSON, field: str, code: str
) -> None:
    with pytest.raises(AnswerInvalid) as refused:
        fitting(kind, given, schema=schema)
    assert (refused.value.field, refused.value.code) == (field, code)
