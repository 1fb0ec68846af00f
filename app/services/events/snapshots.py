"""Snapshots of a task and its run at the moment of an event, for webhook endpoints that get full bodies."""

from collections.abc import Collection, Iterable, Mapping
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
    """Store a snapshot of the task and run for each new event that some webhook endpoint receives with a full body.

    `recorded` contains a row with `recorded_columns` for each new event.
    """
    wanted = [row for row in recorded if row["snapshot_wanted"]]
    if not wanted:
        return
    tasks = await _read_tasks(session, {row["event_task_id"] for row in wanted})
    runs = await _read_runs(session, {row["event_run_id"] for row in wanted} - {None})
    snapshots = [
        {
            "event_id": row["event_id"],
            "snapshot": await _snapshot(tasks[row["event_task_id"]], runs.get(row["event_run_id"])),
        }
        for row in wanted
    ]
    await session.execute(insert(EventSnapshot), snapshots)


async def _read_tasks(session: AsyncSession, task_ids: Collection[UUID]) -> dict[UUID, Mapping[Any, Any]]:
    found = await session.execute(
        select_tasks()
        .add_columns(
            Project.id.label("of_project"), Project.organization_id, Project.name.label("project_name")
        )
        .join(Project, Project.id == Task.project_id)
        .where(Task.id.in_(task_ids))
    )
    return {row["id"]: row for row in found.mappings()}


async def _read_runs(session: AsyncSession, run_ids: Collection[UUID]) -> dict[UUID, Mapping[Any, Any]]:
    if not run_ids:
        return {}
    found = await session.execute(select(*RUN_COLUMNS).where(Run.id.in_(run_ids)))
    return {row["id"]: row for row in found.mappings()}


async def _snapshot(task: Mapping[Any, Any], run: Mapping[Any, Any] | None) -> dict[str, Any]:
    project = ProjectRef(task["of_project"], task["organization_id"], task["project_name"])
    # Without links: a snapshot is stored and sent, and links work without a key.
    snapshot: dict[str, Any] = {"task": await task_out(task, project, None)}
    if run is not None:
        snapshot["run"] = await run_out(run, None)
    # Encoded as for sending, so that times and ids have the form of the wire.
    encoded = orjson.dumps(snapshot, default=str, option=orjson.OPT_UTC_Z)
    plain: dict[str, Any] = orjson.loads(encoded)
    return plain
