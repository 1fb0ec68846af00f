from collections.abc import Callable
from pathlib import Path

import pytest

from app.agents.errors import OutputInvalid
from app.agents.files.attachments import OUTPUT_PATH
from app.agents.workspace.structured_output import output_instructions, read_output


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
