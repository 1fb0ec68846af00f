"""Create and change tasks, each by one statement that records its event (contract 5.2, 5.4)."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    ScalarSelect,
    Text,
    bindparam,
    case,
    cast,
    func,
    insert,
    literal_column,
    null,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, array
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.clients.storage.object_store import ObjectStore
from app.clock import utcnow
from app.db.statements import Prepared, Statement
from app.enums import CodeHostKind, EventType, OriginProduct, SignalReportRelationship
from app.errors import InvalidInput, NotFound, unknown_key
from app.ids import MAX_BIGINT, new_id
from app.json_types import JsonDict
from app.models import Integration, SignalReport, SignalReportTask, Task, TaskCounter, UserIntegration
from app.models.base import AnyColumn, literal_int
from app.schemas.checks.check_sets import acceptance_of
from app.schemas.tasks import TaskCreateIn, TaskIn, TaskOut
from app.services.access.principal import Principal
from app.services.access.visibility import VISIBLE_TASK, require_task, visibility, visible_task
from app.services.events.activity_notes import moved_to
from app.services.events.ledger import Recorded, as_data, insert_event_cte, publish_recorded, recorded_columns
from app.services.questions.verdict_questions import withdraw_all
from app.services.views.tasks import TaskRow, select_tasks, task_out

# The columns that an update may change; origin and report decide who sees a task and are fixed at creation (contract
# 11 #31).
_COLUMN_OF_FIELD = {
    "title": "title",
    "title_manually_set": "title_manually_set",
    "description": "description",
    "repository": "repository",
    "github_integration": "github_integration_id",
    "github_user_integration": "github_user_integration_id",
    "json_schema": "json_schema",
    "internal": "internal",
    "ci_prompt": "ci_prompt",
    "acceptance": "acceptance",
}
_WRITTEN_AT_CREATION = (
    "id",
    "project_id",
    "created_by_id",
    "origin_product",
    "signal_report_id",
    "archived",
    "archived_at",
    "encrypted_hints",
    *_COLUMN_OF_FIELD.values(),
)
_ONE, _NONE = literal_int(1), literal_int(0)
_TITLE_LENGTH = 60


async def require_references(session: AsyncSession, caller: Principal, body: TaskIn) -> None:
    """Check the integrations and the signal report that a request for a task refers to."""
    keys = {field: getattr(body, field) for field in _Owners._fields}
    if all(key is None for key in keys.values()):
        return
    if body.github_integration is not None and abs(body.github_integration) > MAX_BIGINT:
        # The column holds no such number.
        raise unknown_key(body.github_integration, attr="github_integration")
    owners = await _OWNERS.one(session, keys)
    for field, owner, refusal in (
        ("github_integration", caller.project.id, "Integration must belong to the same team"),
        ("github_user_integration", caller.user_id, "User integration must belong to the authenticated user"),
        ("signal_report", caller.project.id, "Signal report must belong to the same team"),
    ):
        actual = getattr(owners, field)
        if actual is None and keys[field] is not None:
            raise unknown_key(keys[field], attr=field)
        if actual not in (None, owner):
            raise InvalidInput(refusal, attr=field)


async def require_references_before(
    session: AsyncSession, caller: Principal, data: Mapping[str, object], wrong: str
) -> None:
    """Check the references in those fields of a request for a task that come before the invalid field `wrong`."""
    fields = tuple(TaskCreateIn.model_fields)
    if wrong in fields:
        before = {name: data[name] for name in fields[: fields.index(wrong)] if name in data}
        await require_references(session, caller, TaskIn.model_validate(before))


def require_origin(body: TaskIn) -> None:
    """Check that the fields of a new task about a signal report agree with its origin (contract 5.2)."""
    from_report = body.origin_product is OriginProduct.SIGNAL_REPORT
    if body.signal_report_task_relationship is not None:
        if body.signal_report is None:
            raise InvalidInput("Requires signal_report when set.", attr="signal_report_task_relationship")
        if not from_report:
            raise InvalidInput(
                "Requires origin_product signal_report when set.", attr="signal_report_task_relationship"
            )
    require_team_integration(body, body.origin_product)


def require_team_integration(body: TaskIn, origin: str) -> None:
    """Check that a task from a signal report does not use a personal integration of the caller (contract 5.2)."""
    if origin == OriginProduct.SIGNAL_REPORT and body.github_user_integration is not None:
        raise InvalidInput(
            "Signal report tasks use the team GitHub integration.", attr="github_user_integration"
        )


class _Owners(NamedTuple):
    """The id of the owner of each object that a request for a task names."""

    github_integration: int | None
    github_user_integration: int | None
    signal_report: int | None


def _owner(owner: Any, key: Any, field: str) -> ColumnElement[int]:
    return select(owner).where(key == bindparam(field)).scalar_subquery().label(field)


_OWNERS = Prepared(
    select(
        _owner(Integration.project_id, Integration.id, "github_integration"),
        _owner(UserIntegration.user_id, UserIntegration.id, "github_user_integration"),
        _owner(SignalReport.project_id, SignalReport.id, "signal_report"),
    ),
    _Owners,
)


def default_github_integration(project_id: ColumnElement[int]) -> ScalarSelect[int]:
    """Return the SQL subquery for the id of a project's first GitHub integration, the default of new tasks."""
    return (
        select(Integration.id)
        .where(Integration.project_id == project_id, Integration.kind == CodeHostKind.GITHUB)
        .order_by(Integration.id)
        .limit(1)
        .scalar_subquery()
    )


class _Written(NamedTuple):
    task: TaskRow
    # None if nothing changed.
    recorded: Recorded | None


async def create_task(
    session: AsyncSession,
    caller: Principal,
    body: TaskIn,
    *,
    store: ObjectStore,
    encrypted_hints: str | None = None,
) -> TaskOut:
    """Create a task in the caller's project and return it as the API shows it (contract 5.2).

    The task gets the next number of the project; concurrent creations leave no gap (contract 10.1). A task without a
    title gets one from its description. The event `task.created` is recorded in the same statement. The caller has
    checked what the request refers to, with `require_references`.
    """
    now = utcnow()
    by_hand = body.title_manually_set if body.given("title_manually_set") else bool(body.title)
    relationship = None
    if body.signal_report and body.origin_product is OriginProduct.SIGNAL_REPORT:
        relationship = body.signal_report_task_relationship or SignalReportRelationship.IMPLEMENTATION
    written = await _CREATE.one(
        session,
        {
            **{column: getattr(body, field) for field, column in _COLUMN_OF_FIELD.items()},
            "acceptance": acceptance_of(body.acceptance),
            "id": new_id(),
            "project_id": caller.project.id,
            "created_by_id": caller.user_id,
            "title": body.title or title_from_description(body.description),
            "title_manually_set": by_hand,
            "origin_product": body.origin_product,
            "signal_report_id": body.signal_report,
            "archived": body.archived,
            "archived_at": now if body.archived else None,
            "encrypted_hints": encrypted_hints,
            "created_at": now,
            "updated_at": now,
            "last_activity_at": now,
            "link_id": new_id(),
            "relationship": relationship,
        },
    )
    await publish_recorded(session, [written.recorded])
    return await task_out(written.task, caller.project, store)


def _create_statement() -> Statement:
    # The counter's row stays locked until the commit: concurrent requests wait, and a rollback returns the number.
    columns = {
        name: bindparam(name, type_=Task.__table__.c[name].type)
        for name in (*_WRITTEN_AT_CREATION, "created_at", "updated_at", "last_activity_at")
    }
    project_id = columns["project_id"]
    counter = upsert(TaskCounter).from_select(
        ["project_id", "next_number"], select(project_id, literal_int(1))
    )
    numbered = (
        counter.on_conflict_do_update(
            index_elements=[TaskCounter.project_id], set_={"next_number": TaskCounter.next_number + 1}
        )
        .returning((TaskCounter.next_number - 1).label("task_number"))
        .cte("numbered")
    )
    integration = func.coalesce(columns["github_integration_id"], default_github_integration(project_id))
    values = {
        **columns,
        "github_integration_id": integration,
        "task_number": select(numbered.c.task_number).scalar_subquery(),
        "event_count": _ONE,
    }
    inserted = insert(Task).values(values).returning(Task.__table__).cte("inserted")
    relationship = bindparam("relationship", type_=SignalReportTask.relationship.type)
    linked = (
        insert(SignalReportTask)
        .from_select(
            ["id", "report_id", "task_id", "relationship", "created_at"],
            select(
                bindparam("link_id", type_=SignalReportTask.id.type),
                inserted.c.signal_report_id,
                inserted.c.id,
                relationship,
                inserted.c.created_at,
            ).where(relationship.is_not(None)),
        )
        .returning(SignalReportTask.id)
        .cte("linked")
    )
    recorded = task_event_cte(inserted, EventType.TASK_CREATED)
    return (
        select_tasks(aliased(Task, inserted))
        .add_columns(*recorded_columns(recorded))
        .join(recorded, true())
        .add_cte(linked)
    )


def task_event_cte(source: CTE, type_: EventType, *conditions: ColumnElement[bool], **data: AnyColumn) -> CTE:
    """Return the CTE that records an event with `data` about each changed task of `source` (`insert_event_cte`)."""
    return insert_event_cte(
        source,
        type_,
        *conditions,
        project_id=source.c.project_id,
        task_id=source.c.id,
        subject_seq=source.c.event_count,
        occurred_at=source.c.deleted_at if type_ is EventType.TASK_DELETED else source.c.updated_at,
        data=as_data(**data),
    )


_CREATE = Prepared(_create_statement(), _Written)


async def update_task(
    session: AsyncSession, caller: Principal, task_id: UUID, body: TaskIn, *, store: ObjectStore
) -> TaskOut:
    """Change the given fields of a task and return the task; concurrent updates of different fields are both kept."""
    try:
        await require_references(session, caller, body)
    except InvalidInput:
        await require_task(session, caller, task_id)
        raise
    now = utcnow()
    values: dict[str, object] = {"updated_at": now}
    for field, column in _COLUMN_OF_FIELD.items():
        if body.given(field):
            values[column] = getattr(body, field)
    if body.given("acceptance"):
        values["acceptance"] = acceptance_of(body.acceptance)
    if body.given("title") and not body.given("title_manually_set"):
        values["title_manually_set"] = True
    if body.given("archived"):
        values["archived"] = body.archived
        if body.archived:
            await withdraw_all(session, select(Task.id).where(Task.id == task_id, visible_task(caller)))
    statement = _update_statement(tuple(values))
    written = await statement.first(session, {"task_id": task_id, **visibility(caller), **values})
    if written is None:
        raise NotFound
    require_team_integration(body, written.task.origin_product)
    await publish_recorded(session, [written.recorded])
    return await task_out(written.task, caller.project, store)


@lru_cache(maxsize=256)  # more sets of fields are possible than clients send
def _update_statement(columns: tuple[str, ...]) -> Prepared[_Written]:
    # The row is locked first, so that the new values are compared with the current ones.
    values: dict[str, ColumnElement[object]] = {
        name: bindparam(name, type_=Task.__table__.c[name].type) for name in columns
    }
    if "archived" in values:
        # A task that is archived again keeps its first `archived_at`.
        stamp = func.coalesce(Task.archived_at, values["updated_at"])
        values["archived_at"] = case((values["archived"], stamp))
    before = (
        select(Task.id, _new_fields(values).label("new_fields"))
        .where(Task.id == bindparam("task_id"), VISIBLE_TASK)
        .with_for_update(key_share=True)
        .cte("before")
    )
    is_new = func.cardinality(before.c.new_fields) > literal_int(0)
    changed = (
        update(Task)
        .where(Task.id == before.c.id)
        .values(
            values
            | {"event_count": Task.event_count + case((is_new, _ONE), else_=_NONE)}
            | moved_to(case((is_new, values["updated_at"])))
        )
        .returning(Task.__table__)
        .cte("changed")
    )
    is_same = before.c.id == changed.c.id
    recorded = task_event_cte(changed, EventType.TASK_UPDATED, is_same, is_new, changed=before.c.new_fields)
    return Prepared(
        select_tasks(aliased(Task, changed))
        .add_columns(*recorded_columns(recorded))
        .outerjoin(recorded, true()),
        _Written,
    )


def _new_fields(values: Mapping[str, object]) -> ColumnElement[JsonDict]:
    fields = {column: field for field, column in _COLUMN_OF_FIELD.items()} | {"archived": "archived"}
    names = [
        case((getattr(Task, column).is_distinct_from(values[column]), literal_column(f"'{field}'", Text)))
        for column, field in sorted(fields.items(), key=lambda item: item[1])
        if column in values
    ]
    return func.array_remove(array([*names, cast(null(), Text)]), null(), type_=ARRAY(Text))


def title_from_description(description: str) -> str:
    """Return a title for a task: the first line of its description, at most 60 characters (contract 10.2)."""
    first_line = description.strip().partition("\n")[0].strip()
    return first_line if len(first_line) <= _TITLE_LENGTH else f"{first_line[: _TITLE_LENGTH - 3]}..."
