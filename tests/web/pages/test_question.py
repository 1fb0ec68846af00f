"""Forms of agents as HTML fields, and submitted fields as the JSON that the form accepts (contract 15)."""

from typing import Any

import pytest

from app.dialogue.form_schemas import read_form
from app.dialogue.forms import AnswerInvalid, Form
from app.web.pages.question import content_of, defaults_of


def form_with(**question: Any) -> Form:
    return read_form("How?", {"type": "object", "properties": {"q": question}})


def test_boolean_is_a_choice_with_its_default() -> None:
    form = form_with(type="boolean", title="Sure?", default=False)
    [question] = form.questions

    yes, no = (choice.value for choice in question.choices)
    assert [choice.label for choice in question.choices] == ["Yes", "No"]
    assert defaults_of(question) == [no]
    assert content_of(form, {"content.q": [yes]}) == {"q": True}
    assert content_of(form, {"content.q": [no]}) == {"q": False}


@pytest.mark.parametrize(
    ("question", "texts", "value"),
    [
        ({"type": "integer"}, ["12"], 12),
        ({"type": "number"}, ["1.5"], 1.5),
        ({"type": "string"}, ["12"], "12"),
        ({"type": "string", "enum": ["a", "b"]}, ["b"], "b"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, ["b", "a"], ["b", "a"]),
    ],
)
def test_submitted_texts_become_values_of_the_type(
    question: dict[str, Any], texts: list[str], value: Any
) -> None:
    form = form_with(**question)

    content = content_of(form, {"content.q": texts})

    assert content == {"q": value}
    form.check(content)


@pytest.mark.parametrize("type_", ["integer", "number", "boolean"])
def test_text_of_another_type_is_refused_by_the_form(type_: str) -> None:
    form = form_with(type=type_)

    with pytest.raises(AnswerInvalid):
        form.check(content_of(form, {"content.q": ["many"]}))


def test_empty_fields_are_left_out() -> None:
    form = form_with(type="string")

    assert content_of(form, {"content.q": [""]}) == {}
    assert content_of(form, {}) == {}
