"""What the database refuses, whoever writes it: rows of two projects or tasks in one, and half of a change."""

import asyncpg
import pytest
from sqlalchemy import Update, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import RunStatus
from app.models import Notification, Presence, Project, PushedBranch, Question, Run, Task, User
from tests.support.assertions import concerning
from tests.support.devices import make_device, make_pending, make_presence
from tests.support.factories import (
    added,
    make_integration,
    make_project,
    make_run,
    make_signal_report,
    make_task,
)
from tests.support.questions import make_live_run, make_question


async def refusal(session: AsyncSession, statement: Update) -> str | None:
    """Return the constraint that refuses a statement."""
    with pytest.raises(IntegrityError) as refused:
        await session.execute(statement.execution_options(synchronize_session=False))
    cause = refused.value.__cause__ and refused.value.__cause__.__cause__
    assert isinstance(cause, asyncpg.IntegrityConstraintViolationError)
    return cause.constraint_name


async def test_row_refers_to_nothing_of_another_project_or_task(
    session: AsyncSession, project: Project, owner: User
) -> None:
    elsewhere = await make_project(session)
    task, foreign_task = [
        await make_task(session, project=each, created_by=owner) for each in (project, elsewhere)
    ]
    run, foreign_run = await make_live_run(session, task=task), await make_run(session, task=foreign_task)
    device = await make_device(session, user=owner)
    await make_presence(session, task=task, device=device)
    await make_question(session, task=task, run=run)
    await make_pending(session, task=task, device=device, run_id=run.id)
    branch = {"repository": "acme/shop", "branch": "b", "head_sha": "0" * 40, "created_at": utcnow()}
    await added(session, PushedBranch(run_id=run.id, task_id=task.id, **branch))
    integration = await make_integration(session, project=elsewhere)
    report = await make_signal_report(session, project=elsewhere)
    own = Task.id == task.id
    cases = {
        "fk_runs_task_id_project_id": update(Run).where(Run.id == run.id).values(project_id=elsewhere.id),
        "fk_presence_task_id_project_id": update(Presence).values(project_id=elsewhere.id),
        "fk_questions_task_id_project_id": update(Question).values(project_id=elsewhere.id),
        "fk_questions_run_id_task_id": update(Question).values(run_id=foreign_run.id),
        "fk_notifications_run_id_task_id": update(Notification).values(run_id=foreign_run.id),
        "fk_pushed_branches_run_id_task_id": update(PushedBranch).values(run_id=foreign_run.id),
        "fk_tasks_latest_run_id_id": update(Task).where(own).values(latest_run_id=foreign_run.id),
        "fk_tasks_github_integration_id_project_id": update(Task)
        .where(own)
        .values(github_integration_id=integration.id),
        "fk_tasks_signal_report_id_project_id": update(Task).where(own).values(signal_report_id=report.id),
    }
    for name, statement in cases.items():
        with concerning(name):
            assert await refusal(session, statement) == name


# Foreign keys that a deletion follows without an index of their own.
_WITHOUT_INDEX = {
    # Almost every task has a creator, and people are deleted seldom: reading the table then costs less than one more
    # index at each create.
    "fk_tasks_created_by_id",
    # Its second column is the key of the task.
    "fk_tasks_latest_run_id_id",
}


async def test_deletion_finds_by_an_index_what_refers_to_the_deleted_row(session: AsyncSession) -> None:
    """Its first column must lead an index of all rows that have a value there."""
    without = await session.scalars(
        text("""
            SELECT conname FROM pg_constraint AS key
            WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND NOT EXISTS (
                SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = key.conkey[1]
                WHERE indrelid = key.conrelid AND indkey[0] = key.conkey[1] AND (
                    indpred IS NULL
                    OR pg_get_expr(indpred, indrelid) = format('(%I IS NOT NULL)', attname)
                )
            )
        """)
    )

    assert set(without) == _WITHOUT_INDEX


async def test_columns_that_change_together_do_so(
    session: AsyncSession, project: Project, owner: User
) -> None:
    task = await make_task(session, project=project, created_by=owner)
    run = await make_live_run(session, task=task)
    await make_pending(session, task=task, device=await make_device(session, user=owner))
    cases: dict[str, list[Update]] = {
        "ck_runs_completed_at": [
            update(Run).values(completed_at=utcnow()),
            update(Run).values(status=RunStatus.FAILED, lease_owner=None, lease_expires_at=None),
        ],
        "ck_tasks_archived_at": [
            update(Task).values(archived=True),
            update(Task).values(archived_at=utcnow()),
        ],
        "ck_notifications_settled_at": [update(Notification).values(decision="sent", due_at=None)],
        "ck_notifications_waiting": [update(Notification).values(due_at=None, settled_at=utcnow())],
        "ck_notifications_due_at": [update(Notification).values(device_id=None, platform=None)],
        "ck_notifications_device": [update(Notification).values(platform=None)],
        "ck_notifications_receipt_due_at": [update(Notification).values(receipt_due_at=utcnow())],
        "ck_notifications_replaces": [update(Notification).values(purpose="reminder")],
        "ck_notifications_watching": [update(Notification).values(watching_beat_at=utcnow())],
        "ck_notifications_run": [update(Notification).values(run_id=run.id, task_id=None)],
    }
    for name, statements in cases.items():
        for statement in statements:
            with concerning(name):
                assert await refusal(session, statement) == name
