"""The catalogue of events, and the selectors of types (contract 14)."""

import pytest
from jsonschema import Draft202012Validator

from app.enums import EventType
from app.services.events.event_types import CATALOGUE, PING, VALID_SELECTORS


def test_every_type_is_catalogued_with_an_example_that_its_schema_takes() -> None:
    assert {*CATALOGUE, PING.type} == set(EventType)
    for known in (*CATALOGUE.values(), PING):
        Draft202012Validator.check_schema(known.schema)
        Draft202012Validator(known.schema).validate(known.example)


@pytest.mark.parametrize("text", ["*", "run.*", "question.*", "task.created"])
def test_types_and_patterns_are_selectors(text: str) -> None:
    assert text in VALID_SELECTORS


@pytest.mark.parametrize(
    "text", ["", "run", "run*", "r*", "run.*.x", "*.completed", "run.done", "**", "ping", "Run.*", "run."]
)
def test_any_other_text_is_refused_as_a_selector(text: str) -> None:
    assert text not in VALID_SELECTORS
