"""Lines of `taskbeacon try` and the demo about a task and its result."""

import io
from typing import Any

import httpx
import pytest

from app.devstack.api_client import create_task, show_result
from app.devstack.terminal import TerminalOutput


def test_task_is_shown_with_its_page_in_the_console() -> None:
    stream = io.StringIO()
    task = {"id": "an-id", "slug": "YOU-1", "title": "Say hello"}
    client = httpx.Client(
        base_url="http://127.0.0.1:8000/api/projects/2/",
        transport=httpx.MockTransport(lambda _: httpx.Response(201, json=task)),
    )

    create_task(TerminalOutput(stream), client, title="Say hello", description="", repository="a/b")

    assert stream.getvalue().splitlines() == [
        "Task YOU-1: Say hello",
        "  http://127.0.0.1:8000/console/projects/2/tasks/an-id",
    ]


@pytest.mark.parametrize(
    ("output", "lines"),
    [
        (None, []),
        ({"summary": "The log\nshowed it."}, []),
        (
            {"head_branch": "taskbeacon/x", "summary": "Said."},
            ["  {", '    "head_branch": "taskbeacon/x"', "  }"],
        ),
    ],
)
def test_result_shows_nothing_twice_and_nothing_empty(
    output: dict[str, Any] | None, lines: list[str]
) -> None:
    stream = io.StringIO()

    show_result(TerminalOutput(stream), {"status": "failed", "output": output})

    assert stream.getvalue().splitlines() == ["", "Result: failed", *lines]
