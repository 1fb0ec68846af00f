"""The coercion of single values (contract 2.5), for every JSON value there is."""

from contextlib import suppress
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from app.errors import InvalidInput
from app.schemas.fields import Boolean, Choice, ForeignKey, Integer, Text, Uuid, parse_integer, parse_uuid
from app.schemas.runs.run import RunIn
from app.schemas.tasks import SummariesIn, TaskIn, TaskListQuery
from app.services.tasks.task_writing import title_from_description
from app.services.views.task_links import slug_prefix
from app.web.body import first_error

# What can come out of a JSON body: no lone surrogates, no NaN.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
CODES = {
    "required",
    "null",
    "blank",
    "max_length",
    "invalid_choice",
    "invalid_input",
    "min_value",
    "max_value",
    "not_a_list",
    "empty",
    "not_a_dict",
    "does_not_exist",
    "incorrect_type",
    "null_characters_not_allowed",
}


def outcome(model: Any, body: dict[str, Any]) -> Any:
    """Return the model, or the error that the API would answer with."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        return first_error(error.errors(include_url=False))


@pytest.mark.parametrize("model", [TaskIn, RunIn, SummariesIn, TaskListQuery])
@given(data=st.data())
def test_every_body_is_taken_or_refused_in_the_contracts_words(model: Any, data: st.DataObject) -> None:
    names = sorted(model.model_fields)
    body = data.draw(st.dictionaries(st.sampled_from(names), json_values, max_size=5))
    result = outcome(model, body)
    if isinstance(result, InvalidInput):
        assert result.code in CODES
        assert result.detail
        assert (result.attr or "").partition("__")[0] in names
    else:
        assert result.model_fields_set <= set(body)


@given(texts)
@example("\x00")
@example("  ")
@example("x" * 300)
def test_text_is_trimmed_bounded_and_free_of_nul(value: str) -> None:
    field = Text(max_length=255, blank=True)
    trimmed = value.strip()
    if len(trimmed) > 255 or "\x00" in trimmed:
        with pytest.raises(PydanticCustomError):
            field.parse(value)
    else:
        assert field.parse(value) == trimmed


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_become_text_as_python_writes_them(value: float) -> None:
    assert Text().parse(value) == str(value)


@given(st.integers(min_value=-(10**30), max_value=10**30))
def test_every_form_of_an_integer_is_that_integer(value: int) -> None:
    for form in (value, str(value), f"{value}.0", f" {value} ", f"{value}."):
        assert parse_integer(form) == value


@given(json_values)
def test_integers_are_found_or_not_and_nothing_else_happens(value: Any) -> None:
    parsed = parse_integer(value)
    assert parsed is None or type(parsed) is int
    if isinstance(value, bool | list | dict | None):
        assert parsed is None


@given(st.integers(min_value=-100, max_value=100))
def test_bounds_of_an_integer_are_inclusive(value: int) -> None:
    field = Integer(minimum=-5, maximum=5)
    if -5 <= value <= 5:
        assert field.parse(value) == value
    else:
        with pytest.raises(
            PydanticCustomError, match=r"Ensure this value is (less|greater) than or equal to -?5\."
        ):
            field.parse(value)


@given(st.uuids())
def test_every_form_of_a_uuid_is_that_uuid(value: UUID) -> None:
    for form in (str(value), value.hex, str(value).upper(), value.urn, f"{{{value}}}", f" {value} "):
        parsed = parse_uuid(form)
        assert parsed == value
        assert orjson.dumps(parsed) == f'"{value}"'.encode()


@given(json_values)
def test_uuids_are_found_or_not_and_nothing_else_happens(value: Any) -> None:
    parsed = parse_uuid(value)
    assert parsed is None or type(parsed) is UUID
    if not isinstance(value, str):
        assert parsed is None


@pytest.mark.parametrize("field", [Boolean(), Uuid(), ForeignKey(), Choice(of=type(TaskIn().origin_product))])
@given(value=json_values)
def test_field_answers_with_its_own_failure_or_a_value(field: Any, value: Any) -> None:
    with suppress(PydanticCustomError):
        assert field.parse(value) is not None


@given(texts)
def test_generated_title_is_one_line_of_sixty_characters_at_most(description: str) -> None:
    title = title_from_description(description)
    assert len(title) <= 60
    assert "\n" not in title
    assert title == title.strip()
    assert bool(title) == bool(description.strip())


@given(texts)
def test_slug_prefix_is_one_to_three_upper_case_characters(name: str) -> None:
    prefix = slug_prefix(name)
    assert prefix
    assert prefix == prefix.upper()
    letters = [character for character in name if character.isalnum()]
    if not letters:
        assert prefix == "TSK"
