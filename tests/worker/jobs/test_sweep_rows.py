"""The chores that delete rows after their time: each table loses what is past it, and keeps the rest."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.clock import utcnow
from app.db import unit_of_work
from app.db.sweeping import delete_batch
from app.enums import (
    ActivityKind,
    CommandMethod,
    CommandStatus,
    EventType,
    NotificationDecision,
    NotificationKind,
    QuestionStatus,
    RunStatus,
)
from app.ids import new_id
from app.models import (
    ApiKey,
    ConsoleSession,
    Event,
    GithubDelivery,
    IdempotencyKey,
    Notification,
    Presence,
    PushCooldown,
    PushToken,
    RunCommand,
    RunCredential,
    RunEventId,
    WebhookEndpoint,
    WebhookEndpointDelivery,
)
from app.services.notifications.devices import session_device
from app.worker.jobs.sweep_rows import sweep_rows
from tests.fixtures.worker import Workshop
from tests.support.database.faults import refusing_deletions
from tests.support.database.plans import custom_plan, looks_into
from tests.support.database.queries import recorded
from tests.support.devices import make_device, make_pending, make_presence
from tests.support.factories import added, make_key, make_run, make_task, make_user
from tests.support.questions import make_question
from tests.support.webhooks import add_event, make_delivery, make_endpoint

MINUTE = timedelta(minutes=1)
URL = "https://hooks.example.com/"
# As after a dump was restored.
OF_ANOTHER_CLUSTER = 2**40
DAYS = timedelta(days=30)
# Tables that may have millions of rows.
SWEPT_BY = {
    "events": "pk_events",
    "webhook_endpoint_deliveries": "ix_webhook_endpoint_deliveries_created_at",
    "notifications": "ix_notifications_created_at",
    "push_cooldowns": "ix_push_cooldowns_expires_at",
    "run_commands": "ix_run_commands_settled_at",
    "idempotency_keys": "ix_idempotency_keys_created_at",
    "run_event_ids": "pk_run_event_ids",
}


async def left(workshop: Workshop, column: Any) -> list[Any]:
    async with unit_of_work(workshop.sessions) as session:
        return list(await session.scalars(select(column)))


async def test_presence_and_notifications_past_their_time_are_deleted(workshop: Workshop) -> None:
    now = utcnow()
    async with unit_of_work(workshop.sessions) as session:
        task = await make_task(session, project=workshop.project, created_by=workshop.owner)
        gone, here = [await make_device(session, user=workshop.owner) for _ in range(2)]
        await make_presence(session, task=task, device=gone, age=MINUTE)
        await make_presence(session, task=task, device=here, age=MINUTE / 2)
        old = now - timedelta(days=30)
        push = partial(make_pending, session, task=task, device=here, decision=NotificationDecision.SENT)
        settled: dict[str, Any] = {"due_at": None, "settled_at": now}
        await push(**settled, created_at=old)
        asked, answered = [
            await make_question(session, task=task, status=status)
            for status in (QuestionStatus.OPEN, QuestionStatus.ANSWERED)
        ]
        await push(**settled, created_at=old, question_id=answered.id)
        kept = [
            await push(**settled, created_at=old + MINUTE),
            await push(**settled, created_at=old, question_id=asked.id),
            await push(created_at=old),
            await push(due_at=None, receipt_due_at=now, sent_at=old, ticket_id="t", created_at=old),
        ]
        run = await make_run(session, task=task)
        for kind, left_for in ((NotificationKind.COMPLETED, -MINUTE), (NotificationKind.AWAITING, MINUTE)):
            await added(session, PushCooldown(run_id=run.id, kind=kind, expires_at=now + left_for))

    await sweep_rows(workshop.arq_context)
    await sweep_rows(workshop.arq_context)

    assert await left(workshop, Presence.push_token_id) == [here.id]
    assert set(await left(workshop, Notification.id)) == {row.id for row in kept}
    assert await left(workshop, PushCooldown.kind) == [NotificationKind.AWAITING]


async def test_silent_terminals_are_deleted_but_none_that_beats_meanwhile(workshop: Workshop) -> None:
    silent, beating = [session_device(uuid4(), workshop.owner.id) for _ in range(2)]
    async with unit_of_work(workshop.sessions) as session:
        for device in (silent, beating):
            device.last_seen_at = utcnow() - MINUTE
            await added(session, device)

    async with unit_of_work(workshop.sessions) as beat, asyncio.timeout(20):
        await beat.execute(select(PushToken.id).where(PushToken.id == beating.id).with_for_update())
        await sweep_rows(workshop.arq_context)

    assert await left(workshop, PushToken.id) == [beating.id]


async def make_commands(workshop: Workshop, cases: Mapping[str, Any]) -> None:
    """Make a command of each name to a run of its own: settled and ended so long ago; None: not yet."""
    now = utcnow()
    async with unit_of_work(workshop.sessions) as session:
        for name, (settled, ended) in cases.items():
            task = await make_task(session, project=workshop.project, created_by=workshop.owner)
            run = (
                await make_run(session, task=task)
                if ended is None
                else await make_run(session, task=task, status=RunStatus.COMPLETED, completed_at=now - ended)
            )
            command = RunCommand(
                id=new_id(),
                run_id=run.id,
                method=CommandMethod.USER_MESSAGE,
                params={},
                rpc_id=name,
                status=CommandStatus.ACCEPTED if settled is None else CommandStatus.CONSUMED,
                created_at=now - DAYS,
                settled_at=None if settled is None else now - settled,
            )
            await added(session, command)
            if name == "newest activity":
                task.activity_at, task.activity_kind = now - settled, ActivityKind.MESSAGE
                task.activity_subject_id = command.id


async def test_commands_of_runs_that_are_over_for_long_are_deleted(workshop: Workshop) -> None:
    await make_commands(
        workshop,
        {
            "past": (DAYS, DAYS),
            "newest activity": (DAYS, DAYS),
            "young": (DAYS - MINUTE, DAYS - MINUTE),
            "run ended lately": (DAYS, DAYS - MINUTE),
            "live run": (DAYS, None),
            "open": (None, DAYS),
        },
    )

    await sweep_rows(workshop.arq_context)

    names = set(await left(workshop, RunCommand.rpc_id))
    assert names == {"newest activity", "young", "run ended lately", "live run", "open"}


async def test_zero_days_keep_for_ever(workshop: Workshop) -> None:
    long_ago = utcnow() - 100 * DAYS
    await make_commands(workshop, {"old": (100 * DAYS, 100 * DAYS)})
    async with unit_of_work(workshop.sessions) as session:
        task = await make_task(session, project=workshop.project, created_by=workshop.owner)
        device = await make_device(session, user=workshop.owner)
        settled: dict[str, Any] = {
            "due_at": None,
            "settled_at": long_ago,
            "decision": NotificationDecision.SENT,
        }
        await make_pending(session, task=task, device=device, created_at=long_ago, **settled)
        await add_event(session, EventType.TASK_CREATED, project_id=task.project_id, occurred_at=long_ago)
        endpoint, _ = await make_endpoint(
            session, project=workshop.project, created_by=workshop.owner, url="https://hooks.example.com/"
        )
        await make_delivery(session, endpoint, status="delivered", created_at=long_ago)
    never = {f"{name}_retention_days": 0 for name in ("event", "push", "command")}
    keeping = workshop.with_process(settings=workshop.context.process.settings.model_copy(update=never))
    columns = (RunCommand.id, Notification.id, Event.seq, WebhookEndpointDelivery.id)

    await sweep_rows(keeping.arq_context)
    assert [len(await left(workshop, column)) for column in columns] == [1, 1, 1, 1]

    await sweep_rows(workshop.arq_context)
    assert [len(await left(workshop, column)) for column in columns] == [0, 0, 0, 0]


async def test_what_grows_is_swept_by_an_index(
    workshop: Workshop, engine: AsyncEngine, database_url: str
) -> None:
    async with recorded(engine) as statements:
        await sweep_rows(workshop.arq_context)
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        # Tables without rows are read from end to end by choice, and these if there is no other way.
        await connection.execute("SET enable_seqscan = off; SET enable_sort = off")
        plans = [await custom_plan(connection, each) for each in statements if "DELETE FROM" in each.sql]
        # Regression: the runs that ended were read for each batch of ids. A join of so few rows looks like a look-up.
        await connection.execute("SET enable_nestloop = off")
        [ids] = [each for each in statements if "DELETE FROM run_event_ids" in each.sql]
        assert "runs" not in (await custom_plan(connection, ids)).read_whole
    finally:
        await connection.close()

    used = {plan.sql.split("DELETE FROM ")[1].split()[0]: plan.indexes for plan in plans}
    for table, index in SWEPT_BY.items():
        assert index in used[table], table


async def test_look_for_old_ids_takes_as_long_as_there_are_runs(
    workshop: Workshop, engine: AsyncEngine, database_url: str
) -> None:
    """Regression: it looked the run of each id up, and with very many ids it met its time limit."""
    ended: dict[str, Any] = {"status": RunStatus.FAILED, "completed_at": utcnow() - DAYS}
    async with unit_of_work(workshop.sessions) as session:
        task = await make_task(session, project=workshop.project, created_by=workshop.owner)
        runs = [await make_run(session, task=task, **state) for state in ({}, ended, {}, ended, {})]
        ids = [{"run_id": run.id, "event_id": str(n), "kept": True} for run in runs for n in range(50)]
        await session.execute(insert(RunEventId), ids)

    async with recorded(engine) as statements:
        await sweep_rows(workshop.arq_context)

    live = [run for run in runs if run.completed_at is None]
    assert sorted(await left(workshop, RunEventId.run_id)) == sorted(
        run.id for run in live for _ in range(50)
    )
    *_, last = [each for each in statements if "DELETE FROM run_event_ids" in each.sql]
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        # The last look finds no further run.
        assert await looks_into(connection, last, "runs") == len(live) + 1
    finally:
        await connection.close()


async def test_two_sweeps_at_a_time_share_the_rows(workshop: Workshop) -> None:
    past = utcnow() - DAYS
    async with unit_of_work(workshop.sessions) as session:
        for number in range(4):
            await added(session, GithubDelivery(delivery_id=str(number), received_at=past))

    async with unit_of_work(workshop.sessions) as first, unit_of_work(workshop.sessions) as second:
        received_at = GithubDelivery.received_at
        for session in (first, second):
            assert (
                await delete_batch(session, GithubDelivery, received_at <= past, oldest=received_at, most=2)
                == 2
            )

    assert await left(workshop, GithubDelivery.delivery_id) == []


async def test_credentials_keys_and_ids_past_their_time_are_deleted(workshop: Workshop) -> None:
    now, day = utcnow(), timedelta(days=1)
    async with unit_of_work(workshop.sessions) as session:
        await make_key(session, user=workshop.owner)
        key_id = await session.scalar(select(ApiKey.id))
        task = await make_task(session, project=workshop.project, created_by=workshop.owner)
        for name, extra in (("past", timedelta(0)), ("long past", MINUTE), ("kept", -MINUTE)):
            run = await make_run(
                session, task=task, status=RunStatus.FAILED, completed_at=now - day - extra, branch=name
            )
            await added(session, RunEventId(run_id=run.id, event_id=name, kept=True))
            await added(
                session,
                RunCredential(run_id=run.id, encrypted_token=name, created_at=now - day - extra),
            )
            await added(session, GithubDelivery(delivery_id=name, received_at=now - 7 * day - extra))
            await added(
                session,
                IdempotencyKey(
                    project_id=workshop.project.id,
                    user_id=workshop.owner.id,
                    key=name,
                    request_hash="0" * 64,
                    status=201,
                    body=b"{}",
                    created_at=now - day - extra,
                ),
            )
            await added(
                session,
                ConsoleSession(
                    id=new_id(),
                    key_id=key_id,
                    secret_hash=name,
                    created_at=now - 30 * day,
                    last_used_at=now - 14 * day - extra,
                    expires_at=now + day,
                    user_agent=name,
                    address="",
                ),
            )

    await sweep_rows(workshop.arq_context)
    await sweep_rows(workshop.arq_context)

    for column in (
        RunEventId.event_id,
        RunCredential.encrypted_token,
        GithubDelivery.delivery_id,
        IdempotencyKey.key,
        ConsoleSession.secret_hash,
    ):
        assert await left(workshop, column) == ["kept"], column


async def test_table_that_cannot_be_swept_does_not_stop_the_others(
    workshop: Workshop, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: the tables behind one that failed were never swept."""
    past = utcnow() - timedelta(days=8)
    async with unit_of_work(workshop.sessions) as session:
        task = await make_task(session, project=workshop.project, created_by=workshop.owner)
        run = await make_run(session, task=task)
        await added(session, RunCredential(run_id=run.id, encrypted_token="past", created_at=past))
        await added(session, GithubDelivery(delivery_id="past", received_at=past))

    async with refusing_deletions(engine, "run_credentials"):
        await sweep_rows(workshop.arq_context)

    assert await left(workshop, RunCredential.encrypted_token) == ["past"]
    assert await left(workshop, GithubDelivery.delivery_id) == []
    assert "rows.not_swept" in caplog.text


async def test_chore_sweeps_adopts_and_disables(workshop: Workshop) -> None:
    now = utcnow()
    old, recent = now - timedelta(days=31), now - timedelta(days=29)
    async with unit_of_work(workshop.sessions) as session:
        task = await make_task(session, project=workshop.project, created_by=workshop.owner)
        of_task = {"project_id": task.project_id, "task_id": task.id, "subject_seq": 1}
        await add_event(session, EventType.TASK_CREATED, occurred_at=old, **of_task)
        kept = await add_event(session, EventType.TASK_UPDATED, occurred_at=recent, **of_task)
        restored = await add_event(
            session,
            EventType.TASK_UPDATED,
            occurred_at=recent,
            transaction_id=OF_ANOTHER_CLUSTER,
            **of_task,
        )
        own, _ = await make_endpoint(session, project=workshop.project, created_by=workshop.owner, url=URL)
        await make_delivery(session, own, status="delivered", created_at=old)
        delivery = await make_delivery(session, own, status="delivered", created_at=recent)
        stranger = await make_user(session)
        orphaned, _ = await make_endpoint(session, project=workshop.project, created_by=stranger, url=URL)

    await sweep_rows(workshop.arq_context)
    await sweep_rows(workshop.arq_context)

    async with unit_of_work(workshop.sessions) as session:
        of_tasks = select(Event.id).where(Event.task_id == task.id)
        assert set(await session.scalars(of_tasks)) == {kept, restored}
        assert await session.scalar(select(Event.transaction_id).where(Event.id == restored)) == 0
        assert (await session.scalars(select(WebhookEndpointDelivery.id))).all() == [delivery.id]
        enabled = select(WebhookEndpoint.id, WebhookEndpoint.enabled)
        assert {tuple(row) for row in await session.execute(enabled)} == {
            (own.id, True),
            (orphaned.id, False),
        }


async def test_step_that_fails_does_not_stop_the_others(
    workshop: Workshop, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: while old deliveries could not be deleted, no orphaned endpoint was disabled."""
    async with unit_of_work(workshop.sessions) as session:
        orphaned, _ = await make_endpoint(
            session, project=workshop.project, created_by=await make_user(session), url=URL
        )
        old = utcnow() - timedelta(days=31)
        await make_delivery(session, orphaned, status="delivered", created_at=old)

    async with refusing_deletions(engine, "webhook_endpoint_deliveries"):
        await sweep_rows(workshop.arq_context)

    async with unit_of_work(workshop.sessions) as session:
        assert not await session.scalar(select(WebhookEndpoint.enabled))
    assert "rows.not_swept" in caplog.text
