"""Entries of a run's log: which are stored and published, and events that are small enough for a stream."""

import json
from typing import Any

import pytest

from app.clients.live_events.run_events import MAX_EVENT_BYTES
from app.clock import utcnow
from app.enums import RunStatus
from app.ids import new_id
from app.services.run_log.log_entries import LogEvent, RunState, is_reserved, log_line, state_event

MESSAGE = {"sessionUpdate": "agent_message"}
CHUNK = {"sessionUpdate": "agent_message_chunk"}


def entry(update: Any, method: str = "session/update") -> dict[str, Any]:
    return {"type": "notification", "notification": {"method": method, "params": {"update": update}}}


@pytest.mark.parametrize(
    ("given", "is_stored"),
    [
        (entry(CHUNK), False),
        (entry(MESSAGE), True),
        (entry(CHUNK, "session/prompt"), True),
        (entry([CHUNK]), True),
        ({"notification": {"method": "session/update", "params": None}}, True),
        ({"notification": "session/update"}, True),
        ({}, True),
    ],
)
def test_parts_of_a_message_are_no_lines(given: dict[str, Any], is_stored: bool) -> None:
    line = log_line(given)
    assert bool(line) is is_stored
    assert not is_stored or (json.loads(line) == given and line.endswith(b"\n"))


def test_types_of_the_service_are_reserved() -> None:
    reserved = [
        type_
        for type_ in ("task_run_state", "gap", "notification", None, ["gap"])
        if is_reserved({"type": type_})
    ]
    assert reserved == ["task_run_state", "gap"]


@pytest.mark.parametrize(
    ("given", "usable"),
    [
        ("a", "a"),
        ("x" * 128, "x" * 128),
        ("x" * 129, None),
        ("", None),
        ("a\0", None),
        (1, None),
        (None, None),
    ],
)
def test_id_of_an_event_is_one_that_can_be_stored(given: object, usable: str | None) -> None:
    assert LogEvent({"event_id": given}, b"").id == usable


@pytest.mark.parametrize(
    ("output", "error", "omitted"),
    [
        (1, 1, None),
        (MAX_EVENT_BYTES, 1, ["output"]),
        # The output goes first, though the message alone would have been enough.
        (1, MAX_EVENT_BYTES, ["output", "error_message"]),
        (MAX_EVENT_BYTES, MAX_EVENT_BYTES, ["output", "error_message"]),
    ],
)
def test_state_that_is_too_large_names_what_is_left_out(
    output: int, error: int, omitted: list[str] | None
) -> None:
    state = RunState(
        id=new_id(),
        task_id=new_id(),
        status=RunStatus.FAILED,
        stage=None,
        output={"text": "o" * output},
        branch="main",
        error_message="e" * error,
        updated_at=utcnow(),
        completed_at=None,
    )
    event = state_event(state)
    sent = json.loads(event)
    assert len(event) <= MAX_EVENT_BYTES
    assert sent.get("omitted") == omitted
    assert [sent[name] is None for name in ("output", "error_message")] == [
        name in (omitted or ()) for name in ("output", "error_message")
    ]
    assert (sent["run_id"], sent["branch"]) == (str(state.id), "main")
