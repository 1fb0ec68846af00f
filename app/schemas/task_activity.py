"""The activity of tasks: its query, its rows, and the body that marks it as seen (contract 6.12)."""

from datetime import datetime
from typing import Annotated, ClassVar, Self
from uuid import UUID

from pydantic import model_validator
from typing_extensions import TypedDict

from app.enums import ActivityKind
from app.schemas.base import Input, QueryInput, doc
from app.schemas.fields import Integer, Items, Text, Timestamp, Uuid, fail
from app.schemas.users import UserBasic

_MAX = 500

_Nothing = Annotated[None, doc("Always null.")]


class ActivityQuery(QueryInput):
    """The page of activity that a request asks for. An empty parameter is treated as not given."""

    limit: Annotated[int, Integer(minimum=1, maximum=_MAX), doc("The most rows of the page.")] = 100
    before: Annotated[
        datetime | None, Timestamp(), doc("`next_before` of an earlier response: only older rows.")
    ] = None
    before_id: Annotated[
        UUID | None, Uuid(), doc("`next_before_id` of the same response; required with `before`.")
    ] = None

    @model_validator(mode="after")
    def _require_both(self) -> Self:
        for name in ("before", "before_id"):
            if getattr(self, name) is None and (self.before or self.before_id):
                raise fail("required", "This field is required.", name)
        return self


class ActivityOut(TypedDict):
    """The newest activity of one task."""

    id: Annotated[str, doc("Id of the row; the same for all activity of a task.")]
    task_id: UUID
    task_title: Annotated[str, doc("May be empty.", "Say hello")]
    channel_id: _Nothing
    channel_name: _Nothing
    activity_at: datetime
    activity_kind: Annotated[
        ActivityKind,
        doc(
            "`awaiting_input`: a question is open; `completed`: a run has ended, in any way; `message`: a member has "
            "sent a message to the agent; `created`: none of these."
        ),
    ]
    snippet: Annotated[
        str, doc("The beginning of the question, error, message or description; may be empty.", "Shall I?")
    ]
    latest_author: Annotated[UserBasic | None, doc("The member whose request it was; null for an agent.")]
    latest_message_id: Annotated[UUID | None, doc("The id of the command with a `message`.")]
    latest_comment_id: _Nothing
    latest_comment_scope: _Nothing
    latest_comment_item_id: _Nothing
    target_scope: _Nothing
    target_id: _Nothing
    is_unread: Annotated[bool, doc("Whether it is newer than the caller's mark, and not the caller's act.")]


class ActivityPage(TypedDict):
    """A page of the caller's activity, newest first."""

    results: list[ActivityOut]
    unread_count: Annotated[int, doc("The number of unread rows on all pages.")]
    next_before: Annotated[datetime | None, doc("The `before` of the next page; null on the last one.")]
    next_before_id: Annotated[str | None, doc("The `before_id` of the next page; null on the last one.")]


class SeenActivity(Input):
    """A task whose activity the caller has seen."""

    task_id: Annotated[UUID, Uuid(), doc("The task.")]
    activity_id: Annotated[str | None, Text(null=True, blank=True), doc("The `id` of its row.")] = None
    seen_before: Annotated[datetime, Timestamp(), doc("Newer activity stays unread.")]


class MarkReadIn(Input):
    """The activity that the caller has seen."""

    examples: ClassVar = {
        "One task": {
            "activities": [
                {"task_id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40", "seen_before": "2026-03-01T10:00:00Z"}
            ]
        }
    }

    activities: Annotated[
        list[SeenActivity], Items(max_length=_MAX), doc("Tasks that the caller cannot see are skipped.")
    ]


class MarkedOut(TypedDict):
    """The effect of marking activity as read."""

    marked_read: Annotated[int, doc("The number of rows that were unread before.")]
    unread_count: Annotated[int, doc("The number of rows that are unread now.")]
