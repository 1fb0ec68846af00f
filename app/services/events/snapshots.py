"""Snapshots of a task and its run at the moment of an event, for webhook endpoints that get full bodies."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import EventSnapshot, Project, Run, Task
from app.services.access.principal import ProjectRef
from app.services.views.runs import RUN_COLUMNS, run_out
from app.services.views.tasks import select_tasks, task_out


async def store_snapshots(session: AsyncSession, recorded: Iterable[Mapping[Any, Any]]) -> None:
    """Store a snapshot of the task and run for each new event that a webhook endpoint gets with a full body.

    `recorded` are the rows of the new events, with the columns of `recorded_columns`.
    """
    snapshots = [
        {
            "event_id": row["event_id"],
            "snapshot": await _snapshot(session, row["event_task_id"], row["event_run_id"]),
        }
        for row in recorded
        if row["snapshot_wanted"]
    ]
    if snapshots:
        await session.execute(insert(EventSnapshot), snapshots)


async def _snapshot(session: AsyncSession, task_id: UUID, run_id: UUID | None) -> dict[str, Any]:
    found = await session.execute(
        select_tasks()
        .add_columns(
            Project.id.label("of_project"), Project.organization_id, Project.name.label("project_name")
        )
        .join(Project, Project.id == Task.project_id)
        .where(Task.id == task_id)
    )
    row: Any = found.mappings().one()
    project = ProjectRef(row["of_project"], row["organization_id"], row["project_name"])
    # Without links: a snapshot is stored and sent, and links work without a key.
    snapshot: dict[str, Any] = {"task": await task_out(row, project, None)}
    if run_id is not None:
        run = (await session.execute(select(*RUN_COLUMNS).where(Run.id == run_id))).mappings().one()
        snapshot["run"] = await run_out(run, None)
    # Encoded as for sending, so that times and ids have the form of the wire.
    encoded = orjson.dumps(snapshot, default=str, option=orjson.OPT_UTC_Z)
    plain: dict[str, Any] = orjson.loads(encoded)
    return plain
