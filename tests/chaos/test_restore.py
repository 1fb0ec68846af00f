"""A database that goes back to a point in time beside a bucket that does not: what holds, and what is listed."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import inspect, select

from app.clients.job_queue import JobQueue
from app.clients.redis import create_redis
from app.clients.storage.object_store import ObjectStore
from app.clients.storage.storage_keys import RunRef
from app.clock import utcnow
from app.config import Settings
from app.db import unit_of_work
from app.enums import RunStatus
from app.models import Notification, Run
from app.services.artifacts.bucket_comparison import compare_files
from app.services.enqueueing import enqueue_run
from tests.support.callers import bearer
from tests.support.deployment.own_servers import OwnServers
from tests.support.deployment.restoring import ArchivingPostgres, archiving_postgres
from tests.support.deployment.site import ARTIFACT, Site, read_log, work
from tests.support.factories import make_run, make_task
from tests.support.stand_ins.push import PushService
from tests.support.waiting import eventually

# More than the lost time had.
TRANSACTIONS = 2000


@pytest.fixture
def archiving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchivingPostgres]:
    with archiving_postgres(tmp_path_factory.mktemp("archiving")) as server:
        yield server


@pytest.fixture
def own(
    settings: Settings,
    servers: OwnServers,
    archiving: ArchivingPostgres,
    own_bucket: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    monkeypatch.setenv("TASKBEACON_S3_BUCKET", own_bucket.bucket.name)
    addresses = {"database_url": archiving.url, "redis_url": servers.valkey.url}
    return Settings.model_validate(settings.model_dump() | addresses | {"s3_bucket": own_bucket.bucket.name})


class Person:
    """The owner, who uses the API."""

    def __init__(self, client: httpx.AsyncClient, site: Site, key: str) -> None:
        self._client = client
        self._url = f"/api/projects/{site.project.id}"
        self._headers = bearer(key)

    async def create_task(self, title: str) -> str:
        """Create a task, once for its title, and return its id."""
        headers = {**self._headers, "Idempotency-Key": title}
        answer = await self._client.post(f"{self._url}/tasks", json={"title": title}, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def events(self, after: str | None = None) -> tuple[list[str], str]:
        """Return the types of the events after a place, and the place after them."""
        params = {} if after is None else {"after": after}
        answer = await self._client.get(f"{self._url}/events", params=params, headers=self._headers)
        return [event["type"] for event in answer.json()["results"]], answer.json()["next_after"]


async def wait_until_pushed(site: Site, run: Run) -> None:
    """Wait until the result of a run's push is stored: one without a result would be sent again."""
    sent = select(Notification.id).where(Notification.run_id == run.id, Notification.sent_at.is_not(None))

    async def is_stored() -> bool:
        async with unit_of_work(site.sessions) as session:
            return await session.scalar(sent) is not None

    await eventually(is_stored, within_seconds=120)


async def differences(site: Site, bucket: ObjectStore) -> set[tuple[str, str]]:
    compared = compare_files(site.sessions, bucket)
    return {(file.found, file.key) async for file in compared if file.found != "same"}


def values_of(run: Run) -> dict[str, Any]:
    return {column.key: getattr(run, column.key) for column in inspect(Run).column_attrs}


async def test_rows_of_the_point_in_time_and_files_of_now_agree_but_for_what_is_listed(
    site: Site,
    archiving: ArchivingPostgres,
    anonymous: httpx.AsyncClient,
    own_bucket: ObjectStore,
    push_service: PushService,
) -> None:
    (kept,) = await site.queue_runs(1, work())
    worker = site.start_worker()
    person = Person(anonymous, site, await site.key())
    created = await person.create_task("before")
    await site.wait_until_over(1)
    await wait_until_pushed(site, kept)
    async with unit_of_work(site.sessions) as session:
        # Without a job, so that it waits.
        task = await make_task(session, project=site.project, created_by=site.owner, description=work())
        again = await make_run(session, task=task, dispatch_requested_at=utcnow())
    before = {run.id: values_of(run) for run in await site.rows()}
    at = await archiving.now()

    queue = JobQueue(site.settings.redis_url)
    assert await enqueue_run(queue, again.id)
    await queue.aclose()
    await site.wait_until_over(2)
    await wait_until_pushed(site, again)
    lost = await person.create_task("after")
    _, place = await person.events()
    assert await worker.stop() == 0
    of_lost_time = next(run.artifacts for run in await site.rows() if run.id == again.id)
    missing = next(file for file in before[kept.id]["artifacts"] if file["name"] == ARTIFACT)["storage_path"]
    await own_bucket.delete([missing])
    shortened = RunRef(kept.project_id, kept.task_id, kept.id).log_key
    await own_bucket.put(shortened, b"{}\n", content_type="application/jsonl", tags={})

    archiving.restore(at)
    await archiving.pass_transactions(TRANSACTIONS)
    redis = create_redis(site.settings.redis_url)
    await redis.flushdb()
    await redis.aclose()
    assert {run.id: values_of(run) for run in await site.rows()} == before

    without_row = {("without_row", file["storage_path"]) for file in of_lost_time}
    assert await differences(site, own_bucket) == {("missing", missing), ("differs", shortened), *without_row}

    await site.let_the_grace_pass()
    site.start_worker()
    assert await person.create_task("before") == created
    assert await person.create_task("after") != lost
    await archiving.pass_transactions(TRANSACTIONS)
    types, _ = await person.events(after=place)
    assert "task.created" in types
    # Queued rows repair Redis. What had been pushed before is not pushed again, but what came after is.
    await site.wait_until_over(2)
    await wait_until_pushed(site, again)
    assert {run.status for run in await site.rows()} == {RunStatus.COMPLETED}
    pushed = [message["data"]["taskRunId"] for message in push_service.received]
    assert sorted(pushed) == sorted(map(str, [kept.id, again.id, again.id]))
    # Of the lost time and of now.
    assert (await read_log(own_bucket, again)).count("Starting the agent") == 2
