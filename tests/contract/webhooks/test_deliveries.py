"""Deliveries over the wire: their log, and what is sent once more (contract 14)."""

from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory
from app.models import Project, Task, User, WebhookEndpointDelivery, WebhookRecovery
from tests.support.assertions import assert_invalid, assert_not_found, assert_page
from tests.support.stand_ins.receiver import Receiver, Reply
from tests.support.webhooks import Deliveries, make_delivery, make_endpoint, record_event

ANY_ID = "11111111-1111-4111-8111-111111111111"
URL = "https://hooks.example.com/taskbeacon"
BODY = {"url": URL, "event_types": ["run.*", "task.created"]}


class TestDeliveries:
    async def test_log_says_what_was_sent_and_what_came_of_it_without_secrets(
        self,
        client: httpx.AsyncClient,
        sessions: SessionFactory,
        endpoints_url: str,
        deliveries: Deliveries,
        receiver: Receiver,
        task: Task,
    ) -> None:
        made = (
            await client.post(endpoints_url, json={**BODY, "event_types": ["*"], "url": receiver.url()})
        ).json()
        url = f"{endpoints_url}/{made['id']}/deliveries"
        receiver.replies.append(Reply(404, body=b"no such hook"))
        event_id = await record_event(sessions, task)
        await deliveries.deliver()

        (row,) = assert_page(await client.get(f"{url}/"), count=1)

        assert row["event_id"] == str(event_id)
        assert (row["event_type"], row["task_id"], row["run_id"]) == ("task.updated", str(task.id), None)
        assert (row["status"], row["attempts"]) == ("pending", 1)
        detail = (await client.get(f"{url}/{row['id']}/")).json()
        assert {**detail, "attempts": 1, "request": None} == {**row, "request": None}
        (message,) = receiver.messages
        assert detail["request"]["body"].encode() == message.body
        headers = detail["request"]["headers"]
        assert headers["webhook-signature"] == "v1,***"
        for name in ("webhook-id", "webhook-timestamp"):
            assert headers[name] == message.headers[name]
        (attempt,) = detail["attempts"]
        assert attempt.pop("duration_ms") >= 0
        assert attempt.pop("next_attempt_at") == row["next_attempt_at"]
        assert attempt.pop("started_at") < row["next_attempt_at"]
        assert attempt == {
            "n": 1,
            "manual": False,
            "outcome": "failed",
            "status_code": 404,
            "response_excerpt": "no such hook",
            "error": "http_4xx",
            "resolved_ip": "127.0.0.1",
        }
        text = (await client.get(f"{url}/{row['id']}")).text
        assert made["secret"] not in text
        assert message.headers["webhook-signature"] not in text

    async def test_filters_choose_deliveries_by_type_status_and_time(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        sessions: SessionFactory,
        project: Project,
        owner: User,
        endpoints_url: str,
        deliveries: Deliveries,
        receiver: Receiver,
        task: Task,
    ) -> None:
        endpoint, _ = await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
        url = f"{endpoints_url}/{endpoint.id}/deliveries"
        await record_event(sessions, task)
        await deliveries.deliver()
        (row,) = await deliveries.rows()
        at = row.created_at.isoformat()
        for query, count in (
            ({"status": "delivered"}, 1),
            ({"status": "pending"}, 0),
            ({"event_type": "task.updated"}, 1),
            ({"event_type": "nothing"}, 0),
            ({"task_id": str(task.id)}, 1),
            ({"task_id": ANY_ID}, 0),
            ({"after": at}, 0),
            ({"before": at}, 0),
            ({"after": "2020-01-01T00:00:00Z", "before": "2100-01-01T00:00:00Z"}, 1),
            ({"status": "", "task_id": ""}, 1),
        ):
            assert_page(await client.get(url, params=query), count=count)
        for name, value, code in (
            ("status", "x", "invalid_choice"),
            ("task_id", "x", "invalid_input"),
            ("after", "x", "invalid_input"),
            ("before", "0001-01-01T00:00:00+23:00", "invalid_input"),
        ):
            assert_invalid(await client.get(url, params={name: value}), name, code)

    async def test_redelivery_is_another_attempt_of_the_same_message(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        sessions: SessionFactory,
        project: Project,
        owner: User,
        endpoints_url: str,
        deliveries: Deliveries,
        receiver: Receiver,
        task: Task,
    ) -> None:
        endpoint, _ = await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
        await record_event(sessions, task)
        await deliveries.deliver()
        (row,) = await deliveries.rows()
        url = f"{endpoints_url}/{endpoint.id}/deliveries/{row.id}"
        receiver.replies.append(Reply(500))

        asked = await client.post(f"{url}/redeliver")

        assert (asked.status_code, asked.json()["status"]) == (202, "pending")
        await deliveries.deliver()
        detail = (await client.get(url)).json()
        # It arrived before, whatever came of the repetition.
        assert detail["status"] == "delivered"
        assert [attempt["manual"] for attempt in detail["attempts"]] == [False, True]
        assert [attempt["outcome"] for attempt in detail["attempts"]] == ["delivered", "failed"]
        assert len({message.id for message in receiver.messages}) == 1

    async def test_redelivery_takes_no_attempt_from_a_message_that_is_pending(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        owner: User,
        endpoints_url: str,
        deliveries: Deliveries,
        receiver: Receiver,
    ) -> None:
        endpoint, _ = await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
        delivery = await make_delivery(
            session, endpoint, attempts=3, due_at=utcnow() + timedelta(hours=2), attempts_allowed=10
        )
        receiver.always = Reply(500)

        asked = await client.post(f"{endpoints_url}/{endpoint.id}/deliveries/{delivery.id}/redeliver")
        await deliveries.deliver()

        assert asked.status_code == 202
        (row,) = await deliveries.rows()
        assert (row.status, row.attempts, row.attempts_allowed) == ("pending", 4, 10)
        assert row.due_at > utcnow()

    async def test_disabled_endpoint_gets_nothing_again(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        owner: User,
        endpoints_url: str,
    ) -> None:
        endpoint, _ = await make_endpoint(
            session, project=project, created_by=owner, url=URL, enabled=False, disabled_reason="user"
        )
        url = f"{endpoints_url}/{endpoint.id}"
        assert_invalid(await client.post(f"{url}/deliveries/{ANY_ID}/redeliver"), None, "invalid_input")
        since = (utcnow() - timedelta(hours=1)).isoformat()
        assert_invalid(await client.post(f"{url}/recover", json={"since": since}), None, "invalid_input")


class TestRecovery:
    async def test_what_failed_and_what_was_never_sent_comes_again_and_nothing_else(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        sessions: SessionFactory,
        project: Project,
        owner: User,
        endpoints_url: str,
        deliveries: Deliveries,
        receiver: Receiver,
        task: Task,
    ) -> None:
        endpoint, _ = await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
        url = f"{endpoints_url}/{endpoint.id}"
        since = (utcnow() - timedelta(minutes=1)).isoformat()
        arrived = await record_event(sessions, task)
        await deliveries.deliver()
        failed = await record_event(sessions, task)
        receiver.replies.append(Reply(500))
        await deliveries.deliver()
        await client.patch(url, json={"enabled": False})
        missed = await record_event(sessions, task)
        await deliveries.deliver()
        await client.post(f"{url}/enable")
        receiver.messages.clear()

        first = await client.post(f"{url}/recover", json={"since": since})
        await deliveries.deliver()

        assert (first.status_code, first.json()) == (202, {"count": 1})
        assert [message.id for message in receiver.messages] == [str(failed)]
        everything = await client.post(f"{url}/recover/", json={"since": since, "only": "all"})
        await deliveries.deliver()
        assert everything.json() == {"count": 1}
        assert [message.id for message in receiver.messages] == [str(failed), str(missed)]
        assert str(arrived) not in {message.id for message in receiver.messages}
        again = await client.post(f"{url}/recover/", json={"since": since, "only": "all"})
        assert again.json() == {"count": 0}

    async def test_only_messages_of_that_time_come_again_and_no_ping(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        sessions: SessionFactory,
        project: Project,
        owner: User,
        endpoints_url: str,
        deliveries: Deliveries,
        receiver: Receiver,
        task: Task,
    ) -> None:
        endpoint, _ = await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
        url = f"{endpoints_url}/{endpoint.id}"
        noon = utcnow() - timedelta(hours=2)
        failed = {}
        for minutes in (-10, 0, 10):
            at = noon + timedelta(minutes=minutes)
            failed[minutes] = await make_delivery(session, endpoint, status="failed", event_at=at)
        await make_delivery(session, endpoint, status="failed", event_at=noon, event_type="ping")
        missed = {
            minutes: await record_event(sessions, task, occurred_at=noon + timedelta(minutes=minutes))
            for minutes in (-10, 0, 10)
        }
        # Nothing comes to it by itself: it was made later than these events.
        await deliveries.relay()
        time = {
            name: (noon + timedelta(minutes=minutes)).isoformat()
            for name, minutes in (("since", -5), ("until", 5))
        }

        for only, again in (("failed", {failed[0].event_id}), ("all", {missed[0]})):
            asked = await client.post(f"{url}/recover", json={**time, "only": only})
            assert asked.json() == {"count": len(again)}
            await deliveries.deliver()
            assert {message.id for message in receiver.messages} == set(map(str, again))
            receiver.messages.clear()

        assert len(await deliveries.rows(status="failed")) == 3

    async def test_request_counts_what_the_worker_then_sends_by_batches(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        sessions: SessionFactory,
        project: Project,
        owner: User,
        endpoints_url: str,
        deliveries: Deliveries,
        receiver: Receiver,
        task: Task,
    ) -> None:
        """Regression: a request made the deliveries of 30 days in one transaction, which held the endpoint."""
        deliveries = deliveries.with_limits(batch=2)
        noon = utcnow() - timedelta(hours=2)
        missed = [
            await record_event(sessions, task, occurred_at=noon + timedelta(minutes=minutes))
            for minutes in range(5)
        ]
        endpoint, _ = await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
        await deliveries.relay()
        url = f"{endpoints_url}/{endpoint.id}/recover"

        asked = await client.post(url, json={"since": noon.isoformat(), "only": "all"})

        assert asked.json() == {"count": 5}
        assert await deliveries.rows() == []
        await deliveries.deliver()
        assert {message.id for message in receiver.messages} == set(map(str, missed))
        assert await session.scalar(select(func.count()).select_from(WebhookRecovery)) == 0

    async def test_full_body_that_was_not_kept_says_so(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        sessions: SessionFactory,
        project: Project,
        owner: User,
        endpoints_url: str,
        deliveries: Deliveries,
        receiver: Receiver,
        task: Task,
    ) -> None:
        """As for an event from before any endpoint of the project wanted full bodies."""
        since = (utcnow() - timedelta(minutes=1)).isoformat()
        event_id = await record_event(sessions, task, occurred_at=utcnow() - timedelta(seconds=1))
        endpoint, _ = await make_endpoint(
            session, project=project, created_by=owner, url=receiver.url(), payload="full"
        )
        await deliveries.relay()

        await client.post(f"{endpoints_url}/{endpoint.id}/recover", json={"since": since, "only": "all"})
        await deliveries.deliver()

        (message,) = receiver.messages
        assert message.id == str(event_id)
        assert message.data["truncated"] is True
        assert "task" not in message.data

    async def test_stretch_of_time_must_be_one_that_is_kept(
        self, client: httpx.AsyncClient, endpoints_url: str, endpoint: dict[str, Any]
    ) -> None:
        url = f"{endpoints_url}/{endpoint['id']}/recover"
        now = utcnow()
        for body, attr, code in (
            ({}, "since", "required"),
            ({"since": None}, "since", "null"),
            ({"since": "yesterday"}, "since", "invalid_input"),
            ({"since": (now - timedelta(days=31)).isoformat()}, "since", "invalid_input"),
            (
                {"since": now.isoformat(), "until": (now - timedelta(hours=1)).isoformat()},
                "until",
                "invalid_input",
            ),
            ({"since": now.isoformat(), "only": "some"}, "only", "invalid_choice"),
        ):
            assert_invalid(await client.post(url, json=body), attr, code)


async def test_end_of_a_run_is_delivered_once_and_to_those_alone_that_want_it(
    client: httpx.AsyncClient,
    tasks_url: str,
    endpoints_url: str,
    deliveries: Deliveries,
    receiver: Receiver,
) -> None:
    made = {
        name: (
            await client.post(endpoints_url, json={"url": receiver.url(name), "event_types": [f"{name}.*"]})
        ).json()
        for name in ("run", "question")
    }
    task = (await client.post(tasks_url, json={"title": "Private title"})).json()
    runs = f"{tasks_url}/{task['id']}/runs"
    run = (await client.post(runs)).json()
    receiver.replies += [Reply(200), Reply(200), Reply(500)]
    for status in ("in_progress", "completed"):
        await client.patch(f"{runs}/{run['id']}", json={"status": status})
    await deliveries.deliver()
    (failed,) = await deliveries.rows(status="pending")
    endpoint = f"{endpoints_url}/{made['run']['id']}"
    assert (await client.post(f"{endpoint}/deliveries/{failed.id}/redeliver")).status_code == 202
    await deliveries.deliver()

    assert receiver.at("question") == []
    messages = receiver.at("run")
    assert sorted({message.content["type"] for message in messages}) == [
        "run.completed",
        "run.queued",
        "run.started",
    ]
    assert len({message.id for message in messages}) == 3
    assert len(messages) == 4
    assert all(message.is_signed_by(made["run"]["secret"]) for message in messages)
    assert not any(message.is_signed_by(made["question"]["secret"]) for message in messages)
    rows = await deliveries.rows()
    assert [row.status for row in rows] == ["delivered"] * 3
    assert sorted(row.attempts for row in rows) == [1, 1, 2]


async def test_event_types_are_published_with_their_schemas(
    client: httpx.AsyncClient, project: Project
) -> None:
    types = (await client.get(f"/api/projects/{project.id}/webhook_event_types/")).json()
    assert isinstance(types, list)
    assert {"type", "description", "schema", "example", "since"} == set(types[0])
    names = [row["type"] for row in types]
    assert {"task.created", "run.completed", "run.awaiting_input", "webhook_endpoint.disabled"} <= set(names)
    assert "ping" not in names


async def test_nothing_is_kept_of_a_ping_that_is_refused(
    client: httpx.AsyncClient, session: AsyncSession, endpoints_url: str
) -> None:
    assert_not_found(await client.post(f"{endpoints_url}/{ANY_ID}/ping"))
    assert await session.scalar(select(func.count()).select_from(WebhookEndpointDelivery)) == 0
