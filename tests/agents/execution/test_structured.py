from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.agents.errors import OutputInvalid
from app.agents.files.attachments import OUTPUT_PATH
from app.agents.outputs.schema_check import check_output
from app.agents.workspace.structured_output import output_instructions, read_output


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


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"n": "a\\u0000b"}', "NUL"),
        ('{"a\\u0000b": 1}', "NUL"),
        ('"\\ud83d"', "surrogates"),
        (str(2**70), "64-bit"),
        ("[" * 300 + "]" * 300, "[Rr]ecursion"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_output_that_cannot_be_stored_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / OUTPUT_PATH).parent.mkdir()
    (tmp_path / OUTPUT_PATH).write_text(content)

    with pytest.raises(OutputInvalid, match=problem):
        read_output(tmp_path, tmp_path)


def test_instructions_name_the_file_and_the_schema() -> None:
    text = output_instructions({"type": "object"})

    assert ".taskbeacon/output.json" in text
    assert '{"type": "object"}' in text


@pytest.mark.parametrize(
    ("left", "problem"),
    [
        (lambda path: path.write_text("nope"), "is not JSON"),
        (lambda path: path.symlink_to("/etc/passwd"), "leads out of the workspace"),
        (lambda path: path.write_bytes(bytes(2_000_000)), "longer than"),
    ],
    ids=["no JSON", "link", "large"],
)
def test_output_that_cannot_be_read_is_refused(
    tmp_path: Path, left: Callable[[Path], object], problem: str
) -> None:
    (tmp_path / OUTPUT_PATH).parent.mkdir()
    left(tmp_path / OUTPUT_PATH)

    with pytest.raises(OutputInvalid, match=problem):
        read_output(tmp_path, tmp_path)
