import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agents.runbook.parser import RunbookError, Step, parse


def test_steps_come_in_order_and_prose_is_skipped() -> None:
    steps = parse(
        "# Plan\n\n```sh\nmake\n```\nthen\n```file path=docs/x.md\n# X\n```\n```patch\n--- a\n```\n"
        '```json output\n{"a": 1}\n```\n```ask options=red,green\nWhich?\n```\n```say\nDone.\n```\n'
    )

    assert steps == [
        Step(3, "sh", "make\n"),
        Step(7, "file", "# X\n", path="docs/x.md"),
        Step(10, "patch", "--- a\n"),
        Step(13, "json output", '{"a": 1}\n'),
        Step(16, "ask", "Which?", options=("red", "green")),
        Step(19, "say", "Done."),
    ]


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "just prose",
        "```\nsh\n```",
        "```yaml\na: 1\n```",
        "```json\n{}\n```",
        "```{.python}\nx\n```",
        "``sh\nx\n``",
        "    ```sh\n    indented code is prose\n    ```",
        "```sh `inline` code```",
        "````markdown\n```sh\nexample\n```\n````",
    ],
)
def test_text_without_a_step_is_prose(prompt: str) -> None:
    assert parse(prompt) == []


@pytest.mark.parametrize("language", ["sh", "bash", "python", "SH", "Bash"])
def test_block_of_a_shell_or_python_is_a_script(language: str) -> None:
    assert parse(f"```{language}\nx\n```") == [Step(1, language.lower(), "x\n")]


@pytest.mark.parametrize(
    ("info", "allow_failure", "timeout"),
    [
        ("sh allow-failure", True, None),
        ("sh timeout=30", False, 30.0),
        ("sh timeout=0.5 allow-failure", True, 0.5),
        ("sh   timeout=30s  ", False, 30.0),
    ],
)
def test_attributes_of_a_script_are_read(info: str, allow_failure: bool, timeout: float | None) -> None:
    assert parse(f"```{info}\nx\n```") == [Step(1, "sh", "x\n", allow_failure=allow_failure, timeout=timeout)]


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("~~~sh\nx\n~~~", "x\n"),
        ("````sh\n```\nx\n```\n````", "```\nx\n```\n"),
        ("```sh\nx\n`````", "x\n"),
        ("~~~sh\n```\n~~~", "```\n"),
        ("  ```sh\n  x\n   y\n z\n  ```", "x\n y\nz\n"),
        ("```sh\r\nx\r\n```\r\n", "x\n"),
        ("```sh\n```", ""),
        ("```sh\n\n```", "\n"),
        ("```sh\nx\x0cy\u2028z\n```", "x\x0cy\u2028z\n"),
        ("```sh\n``` not closed\n```", "``` not closed\n"),
        ("~~~ sh\nx\n~~~", "x\n"),
    ],
)
def test_fences_are_those_of_commonmark(prompt: str, text: str) -> None:
    assert parse(prompt) == [Step(1, "sh", text)]


def test_file_path_may_be_quoted() -> None:
    assert parse('```file path="a b.md"\nx\n```') == [Step(1, "file", "x\n", path="a b.md")]


def test_ask_offers_yes_and_no_by_default() -> None:
    assert parse("```ask\nGo on?\n```") == [Step(1, "ask", "Go on?", options=("yes", "no"))]


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("text\n```sh\nmake", "Line 2: .* never closed"),
        ("````sh\nmake\n```", "Line 1: .* never closed"),
        ("```sh\nmake\n~~~", "Line 1: .* never closed"),
        ("```yaml\na: 1", "Line 1: .* never closed"),
        ("```sh allow_failure\nx\n```", "no attribute `allow_failure` .*allow-failure, timeout"),
        ("```sh timeout=soon\nx\n```", "`timeout=soon` is not"),
        ("```sh timeout=0\nx\n```", "`timeout=0` is not"),
        ("```sh timeout=nan\nx\n```", "`timeout=nan` is not"),
        ("```sh timeout=inf\nx\n```", "`timeout=inf` is not"),
        ("```sh timeout=\nx\n```", "`timeout=` is not"),
        ("```file\nx\n```", "needs `path=`"),
        ("```file path=\nx\n```", "needs `path=`"),
        ('```file path="x\nx\n```', "cannot be read"),
        ("```json output\n{nope}\n```", "not JSON"),
        ("```json output\nNaN\n```", "not JSON"),
        ("```json output\n\n```", "not JSON"),
        ("```json output extra\n1\n```", "no attribute `extra`"),
        ("```ask options=a,,b\nx\n```", "different answers"),
        ("```ask options=a,a\nx\n```", "different answers"),
        ("```ask\n\n```", "needs a question"),
        ("```say loudly\nx\n```", "no attribute `loudly`"),
    ],
)
def test_slips_are_errors_before_anything_runs(prompt: str, message: str) -> None:
    with pytest.raises(RunbookError, match=message):
        parse(prompt)


@given(st.text())
def test_any_text_is_steps_or_a_clear_error(prompt: str) -> None:
    try:
        parse(prompt)
    except RunbookError as error:
        message = str(error)
    else:
        message = "Line 0: no error"
    assert message.startswith("Line ")


LINES = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]))


@given(st.lists(LINES))
def test_a_script_comes_out_as_it_was_written(lines: list[str]) -> None:
    fence = "`" * (3 + max((len(line) for line in lines), default=0))
    text = "".join(f"{line}\n" for line in lines)

    assert parse(f"{fence}sh\n{text}{fence}") == [Step(1, "sh", text)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_any_json_is_an_output(value: object) -> None:
    text = f"{json.dumps(value)}\n"

    assert parse(f"```json output\n{text}```") == [Step(1, "json output", text)]
