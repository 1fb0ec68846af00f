"""Events as clients and receivers of webhooks see them (contract 14)."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from app.services.events.rendering import EventRow, event_body, event_data

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
TASK, RUN = UUID(int=1), UUID(int=2)
LINK = "https://example.com/{project_id}/{task_id}"
NOTED = {"project_id": 7, "task_id": str(TASK)}


def row(task_id: UUID | None, run_id: UUID | None, **data: Any) -> EventRow:
    return EventRow(1, 2, UUID(int=3), 7, "task.updated", task_id, run_id, 5, AT, data)


@pytest.mark.parametrize(
    ("task_id", "run_id", "names"),
    [
        (None, None, {"project_id"}),
        (None, RUN, {"project_id"}),
        (TASK, None, {"project_id", "task_id", "seq", "url"}),
        (TASK, RUN, {"project_id", "task_id", "seq", "url", "run_id"}),
    ],
)
def test_data_names_what_the_event_is_about(
    task_id: UUID | None, run_id: UUID | None, names: set[str]
) -> None:
    data = event_data(row(task_id, run_id, status="queued"), LINK)
    assert data.keys() == names | {"status"}


def test_fields_of_the_type_come_last() -> None:
    assert event_data(row(TASK, None, seq=9), LINK)["seq"] == 9


@pytest.mark.parametrize(
    ("noted", "snapshot", "full", "added"),
    [
        (NOTED, {"task": {"title": "a"}}, True, {"task": {"title": "a"}}),
        (NOTED, {"task": {"title": "a"}}, False, {}),
        (NOTED, {"task": {"title": "a" * 20_000}}, True, {"truncated": True}),
        # Bytes count, not characters.
        (NOTED, {"task": {"title": "é" * 10_000}}, True, {"truncated": True}),
        (NOTED, None, True, {"truncated": True}),
        ({"project_id": 7}, None, True, {}),
    ],
)
def test_full_body_is_cut_to_ids_if_it_is_too_large_or_not_kept(
    noted: dict[str, Any], snapshot: dict[str, Any] | None, full: bool, added: dict[str, Any]
) -> None:
    body = json.loads(event_body("task.updated", AT, noted, snapshot, full=full))
    assert body == {"type": "task.updated", "timestamp": "2026-03-04T05:06:07Z", "data": {**noted, **added}}
