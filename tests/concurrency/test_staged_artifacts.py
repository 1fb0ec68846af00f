"""Two runs, or a run and the sweep, that want the same file, on connections of their own (contract 8.3)."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import override

from app.clients.storage.object_store import ObjectContent, ObjectInfo, ObjectStore
from app.clients.storage.storage_keys import staged_folder
from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.ids import new_hex_id
from app.models import Project, Run, StagedArtifact, Task, User
from app.schemas.staged_artifacts import FinalizeIn
from app.services.artifacts.artifact_sweep import sweep_artifacts
from app.services.artifacts.staged_artifacts import finalize_uploads, take_artifacts
from tests.support.clock import MovableClock
from tests.support.factories import make_run, make_staged_artifact
from tests.support.principals import member_of
from tests.support.web.uploads import upload_and_finalize

ROUNDS = 5
RACERS = 4


async def stage(session: AsyncSession, task: Task) -> str:
    artifact_id = new_hex_id()
    path = staged_folder(task.project_id, task.id).key(artifact_id, "a.txt")
    await make_staged_artifact(session, task=task, path=path)
    return artifact_id


async def test_exactly_one_of_several_runs_gets_a_file_and_the_others_create_nothing(
    client: httpx.AsyncClient, task_url: str, task: Task, session: AsyncSession
) -> None:
    for finished in range(1, ROUNDS + 1):
        wanted, extra = await stage(session, task), await stage(session, task)
        # In both orders: the locks must not depend on it.
        bodies = [[wanted, extra], [extra, wanted]] * (RACERS // 2)
        answers = await asyncio.gather(
            *(client.post(f"{task_url}/run", json={"pending_user_artifact_ids": ids}) for ids in bodies)
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * (RACERS - 1)
        for ids, answer in zip(bodies, answers, strict=True):
            if answer.status_code == 200:
                assert [entry["id"] for entry in answer.json()["latest_run"]["artifacts"]] == ids
            else:
                assert answer.json()["missing_artifact_ids"] == ids
        assert await session.scalar(select(func.count()).select_from(Run)) == finished
        assert await session.scalar(select(func.count()).select_from(StagedArtifact)) == 0


async def test_files_added_to_a_run_at_once_are_all_in_its_manifest(
    client: httpx.AsyncClient, task_url: str
) -> None:
    run = (await client.post(f"{task_url}/run")).json()["latest_run"]["id"]
    names = [f"{number}.txt" for number in range(8)]
    answers = await asyncio.gather(
        *(
            client.post(
                f"{task_url}/runs/{run}/artifacts",
                json={"artifacts": [{"name": name, "type": "output", "content": name}]},
            )
            for name in names
        )
    )
    assert {answer.status_code for answer in answers} == {200}
    manifest = (await client.get(f"{task_url}/runs/{run}")).json()["artifacts"]
    assert sorted(entry["name"] for entry in manifest) == names


class WatchingStore(ObjectStore):
    """A store that notes, whenever it is asked, how many transactions wait for it."""

    def __init__(self, settings: Settings, sessions: SessionFactory) -> None:
        super().__init__(settings)
        self._sessions = sessions
        self.waiting: dict[str, int] = {}

    async def note(self, call: str) -> None:
        statement = text(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND state = 'idle in transaction' AND pid <> pg_backend_pid()"
        )
        async with unit_of_work(self._sessions) as session:
            self.waiting[call] = self.waiting.get(call, 0) + (await session.scalar(statement) or 0)

    @override
    async def put(self, key: str, body: bytes | Path, *, content_type: str, tags: Mapping[str, str]) -> None:
        await self.note("put")
        await super().put(key, body, content_type=content_type, tags=tags)

    @override
    async def head(self, key: str) -> ObjectInfo | None:
        await self.note("head")
        return await super().head(key)

    @override
    @asynccontextmanager
    async def open(
        self, key: str, *, byte_range: str | None = None, if_match: str | None = None
    ) -> AsyncGenerator[ObjectContent, None]:
        await self.note("open")
        async with super().open(key, byte_range=byte_range, if_match=if_match) as content:
            yield content

    @override
    async def tag(self, key: str, tags: Mapping[str, str]) -> None:
        await self.note("tag")
        await super().tag(key, tags)


class TestTransactions:
    @pytest.fixture
    async def object_store(
        self, settings: Settings, sessions: SessionFactory
    ) -> AsyncGenerator[WatchingStore, None]:
        async with WatchingStore(settings, sessions) as store:
            yield store

    async def test_none_is_open_while_the_store_is_asked(
        self, client: httpx.AsyncClient, task_url: str, object_store: WatchingStore
    ) -> None:
        staged = await upload_and_finalize(client, f"{task_url}/staged_artifacts")
        started = await client.post(f"{task_url}/run", json={"pending_user_artifact_ids": [staged["id"]]})
        files = f"{task_url}/runs/{started.json()['latest_run']['id']}/artifacts"
        await client.post(files, json={"artifacts": [{"name": "a", "type": "output", "content": "a"}]})
        await upload_and_finalize(client, files)
        download = await client.post(f"{files}/download", json={"storage_path": staged["storage_path"]})
        assert download.content == b"hello"
        assert object_store.waiting == {"put": 0, "head": 0, "open": 0, "tag": 0}


class TestSweepAtTheEndOfADay:
    """Regression: a file that was accepted a moment before it expired was deleted before that was committed."""

    @pytest.fixture
    async def path(
        self, own_bucket: ObjectStore, session: AsyncSession, task: Task, clock: MovableClock
    ) -> str:
        # Three days old, since the day begins again when a file is finalised again; it expires in a second.
        clock.now = datetime.now(UTC) + timedelta(days=3)
        path = staged_folder(task.project_id, task.id).key(new_hex_id(), "a.txt")
        await own_bucket.put(path, b"hello", content_type="text/plain", tags={})
        await make_staged_artifact(session, task=task, path=path, lifetime=timedelta(seconds=1))
        return path

    async def test_file_that_a_run_takes_meanwhile_stays(
        self, own_bucket: ObjectStore, sessions: SessionFactory, task: Task, path: str, clock: MovableClock
    ) -> None:
        async with unit_of_work(sessions) as session:
            taken = await take_artifacts(session, task.id, [path.split("/")[-2]])
            await make_run(session, task=task, artifacts=taken)
            clock.advance(seconds=2)
            await sweep_artifacts(sessions, own_bucket)
        assert await own_bucket.head(path) is not None

    async def test_file_that_is_finalised_again_meanwhile_stays(
        self,
        settings: Settings,
        own_bucket: ObjectStore,
        sessions: SessionFactory,
        session: AsyncSession,
        project: Project,
        owner: User,
        task: Task,
        path: str,
        clock: MovableClock,
    ) -> None:
        class SweptStore(ObjectStore):
            @override
            async def tag(self, key: str, tags: Mapping[str, str]) -> None:
                clock.advance(seconds=2)
                await sweep_artifacts(sessions, self)
                await super().tag(key, tags)

        item = {"id": path.split("/")[-2], "name": "a.txt", "type": "user_attachment", "storage_path": path}
        body = FinalizeIn.model_validate({"artifacts": [item]})
        settings = settings.model_copy(update={"s3_bucket": own_bucket.bucket.name})
        async with SweptStore(settings) as store, unit_of_work(sessions) as own:
            await finalize_uploads(own, member_of(project, owner), task.id, body, store=store)
        assert await own_bucket.head(path) is not None
        waiting = select(StagedArtifact.storage_path).where(StagedArtifact.expires_at > clock())
        assert await session.scalar(waiting) == path
