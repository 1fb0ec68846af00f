"""Outputs of agents against the JSON schema of their task."""

from typing import Any

import pytest

from app.agents.errors import OutputInvalid
from app.agents.outputs.schema_check import check_output


@pytest.mark.parametrize(
    ("output", "schema"),
    [
        ({"n": 1}, {"type": "object", "required": ["n"]}),
        (None, {"type": "null"}),
        ("x", True),
        ([1], {}),
        (
            {"a": {"a": {}}},
            {"$defs": {"t": {"additionalProperties": {"$ref": "#/$defs/t"}}}, "$ref": "#/$defs/t"},
        ),
        (1, {"$schema": "http://json-schema.org/draft-07/schema#", "type": "integer"}),
        (1, {"$schema": "urn:nobody-knows", "type": "integer"}),
    ],
)
def test_output_that_fits_passes(output: Any, schema: Any) -> None:
    check_output(output, schema)


@pytest.mark.parametrize(
    ("output", "schema", "message"),
    [
        (1, False, "does not match"),
        (
            {"n": {"m": "x"}},
            {"properties": {"n": {"properties": {"m": {"type": "integer"}}}}},
            r"at \$\.n\.m",
        ),
        (1, {"type": "nonsense"}, "not a valid schema"),
        (1, {"type": 5}, "not a valid schema"),
        (1, [], "neither an object nor a boolean"),
        (1, "text", "neither an object nor a boolean"),
        (1, {"$ref": "#/nowhere"}, "refers to"),
        (1, {"$ref": "https://127.0.0.1:9/schema.json"}, "refers to 'https://127.0.0.1:9/schema.json'"),
        (1, {"$ref": "file:///etc/passwd"}, "refers to"),
        ("x", {"pattern": "("}, "schema"),
        ({}, {"$schema": 5}, "schema"),
        (1, {"$ref": "#"}, "cannot be applied"),
    ],
)
def test_output_that_does_not_match_is_refused_with_the_reason(
    output: Any, schema: Any, message: str
) -> None:
    with pytest.raises(OutputInvalid, match=message):
        check_output(output, schema)


def test_message_stays_short_for_a_long_output() -> None:
    with pytest.raises(OutputInvalid) as caught:
        check_output("x" * 100_000, {"type": "integer"})

    assert len(caught.value.message) < 1000
