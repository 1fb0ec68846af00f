"""Keep the review of a run's changes for its person, on all their devices (contract 19.5).

A device writes the whole review, under the version that it has read: of two that write at a time, the second gets the
first one's review and decides again. The row's key and its version decide this.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, and_, bindparam, func, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.clock import utcnow
from app.db.statements import Prepared, count_changed
from app.errors import InvalidInput, NotFound, VersionConflict
from app.json_types import JsonDict
from app.models import Run, RunReview, Task, User
from app.schemas.runs.reviews import ReviewIn, ReviewOut, SentComments
from app.services.access.principal import Principal
from app.services.access.visibility import VISIBLE_RUN, require_run, visibility
from app.services.views.entity_tags import Held, digest_of
from app.services.views.users import Creator

# The most bytes of marks and comments together, as JSON.
_MOST_BYTES = 64 * 2**10
# The most reviews of other runs or people whose comments are shown with a review.
_MOST_EARLIER = 50
_Other = aliased(Run)
_Earlier = aliased(RunReview)
_USER = bindparam("visible_user_id", type_=RunReview.user_id.type)


class _Review(NamedTuple):
    is_own: bool | None
    version: int | None
    content: JsonDict | None
    updated_at: datetime | None
    earlier: list[SentComments]


def _json(**columns: object) -> ColumnElement[JsonDict]:
    pairs = [part for name, column in columns.items() for part in (literal_column(f"'{name}'"), column)]
    return func.jsonb_build_object(*pairs, type_=JSONB)


# Comments that were sent to an agent. Only their author sees comments that were not sent.
_WHICH: ColumnElement[str] = literal_column("CAST('$.comments[*] ? (@.message_id != null)' AS jsonpath)")
_FIRST: ColumnElement[str] = literal_column(f"CAST('$[0 to {_MOST_EARLIER - 1}]' AS jsonpath)")
_SENT = _json(
    run_id=_Earlier.run_id,
    sent_by=_json(**{name: getattr(User, name) for name in Creator._fields}),
    comments=func.jsonb_path_query_array(_Earlier.content, _WHICH),
)
_ALL_SENT = func.jsonb_agg(aggregate_order_by(_SENT, _Other.created_at.desc(), User.id))
_EARLIER = (
    select(
        func.coalesce(
            func.jsonb_path_query_array(_ALL_SENT, _FIRST), literal_column("CAST('[]' AS jsonb)"), type_=JSONB
        )
    )
    .select_from(_Earlier)
    .join(_Other, _Other.id == _Earlier.run_id)
    .join(User, User.id == _Earlier.user_id)
    .where(
        _Other.task_id == Run.task_id,
        _Other.created_at <= Run.created_at,
        or_(_Earlier.run_id != Run.id, _Earlier.user_id != _USER),
        func.jsonb_path_exists(_Earlier.content, _WHICH),
    )
    .correlate(Run)
    .scalar_subquery()
)
_OF_TASK = select(_Other.id).where(_Other.task_id == Run.task_id)
_IS_OWN = RunReview.run_id == Run.id
# The review of the run; without one, the newest review of another run of the task.
_REVIEW = Prepared(
    select(
        _IS_OWN.label("is_own"),
        RunReview.version,
        RunReview.content,
        RunReview.updated_at,
        _EARLIER.label("earlier"),
    )
    .select_from(Run)
    .join(Task, Task.id == Run.task_id)
    .outerjoin(RunReview, and_(RunReview.run_id.in_(_OF_TASK), RunReview.user_id == _USER))
    .where(VISIBLE_RUN)
    .order_by(_IS_OWN.desc(), RunReview.updated_at.desc())
    .limit(1),
    _Review,
)


async def read_review(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, held: Held
) -> tuple[str, ReviewOut | None]:
    """Return the tag of the caller's review, and the review; None if the client has it already."""
    review = await _read(session, caller, task_id, run_id)
    changed = [str(review["updated_at"]), orjson.dumps(review["earlier"]).decode()]
    tag = held.tag(review["version"], digest_of(changed))
    return tag, None if held.has(tag) else review


async def write_review(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, body: ReviewIn
) -> ReviewOut:
    """Replace the caller's review, unless another device has written it since it was read: VersionConflict."""
    await require_run(session, caller, task_id, run_id)
    # Converted to JSON values, so that the response shows exactly what is stored.
    content = body.model_dump(mode="json", include={"viewed", "comments"})
    _check(body, content)
    values = {"version": body.version + 1, "content": content, "updated_at": utcnow()}
    # If another device has created the row meanwhile, nothing is inserted, and the versions conflict.
    key = {"run_id": run_id, "user_id": caller.user_id}
    created = insert(RunReview).values(key | values).on_conflict_do_nothing()
    same = [
        RunReview.run_id == run_id,
        RunReview.user_id == caller.user_id,
        RunReview.version == body.version,
    ]
    changed = update(RunReview).where(*same).values(values)
    is_stored = await count_changed(session, created if body.version == 0 else changed)
    review = await _read(session, caller, task_id, run_id)
    if not is_stored:
        raise VersionConflict(extra=review)
    return review


async def _read(session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID) -> ReviewOut:
    row = await _REVIEW.first(session, {"task_id": task_id, "run_id": run_id, **visibility(caller)})
    if row is None:
        raise NotFound
    # Without a review of this run, show the marks of the newest other one: files that are unchanged stay viewed.
    content = row.content or {"viewed": [], "comments": []}
    return {
        "version": (row.is_own and row.version) or 0,
        "viewed": content["viewed"],
        "comments": content["comments"] if row.is_own else [],
        "updated_at": row.updated_at,
        "earlier": row.earlier,
    }


def _check(body: ReviewIn, content: JsonDict) -> None:
    if len(orjson.dumps(content)) > _MOST_BYTES:
        raise InvalidInput(f"A review has at most {_MOST_BYTES} bytes.", code="max_length")
    if len({comment.id for comment in body.comments}) < len(body.comments):
        raise InvalidInput("Two comments have the same id.", attr="comments")
    if any(comment.start_line > comment.line for comment in body.comments):
        raise InvalidInput("start_line is after line.", attr="comments")
