"""Files for the next run: prepare, upload, finalise, take (contract 5.9, 6.1, 8), on a real object store."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.storage.object_store import ObjectStore
from app.config import Settings
from app.models import Run, StagedArtifact, Task
from tests.support.assertions import assert_invalid, concerning
from tests.support.clock import MovableClock
from tests.support.makers import NewTask
from tests.support.web.uploads import finalize_item, prepare, upload, upload_and_finalize

JSON = dict[str, Any]

MISSING = "00000000000000000000000000000000"
PDF = {"name": "plan.pdf", "content_type": "application/pdf"}
NOT_FOUND = "Artifact upload not found in object storage"
WRONG_PATH = "Artifact storage path is invalid for this task"
PDF_LIMIT = 10 * 1024 * 1024


@pytest.fixture
def url(task_url: str) -> str:
    return f"{task_url}/staged_artifacts"


async def finalize(client: httpx.AsyncClient, url: str, *items: Any) -> httpx.Response:
    return await client.post(f"{url}/finalize_upload", json={"artifacts": list(items)})


def assert_refused(response: httpx.Response, error: str) -> None:
    assert (response.status_code, response.json()) == (400, {"error": error})


class Stage:
    """Traces of the finalised files of a task: rows, and tags of objects."""

    def __init__(self, session: AsyncSession, store: ObjectStore, task: Task) -> None:
        self._session = session
        self._store = store
        self._task = task

    async def entries(self) -> list[StagedArtifact]:
        query = select(StagedArtifact).where(StagedArtifact.task_id == self._task.id)
        rows = await self._session.scalars(query, execution_options={"populate_existing": True})
        return list(rows)

    async def tags(self, artifact: JSON) -> dict[str, str]:
        client = (await self._store._s3.clients()).internal
        answer = await client.get_object_tagging(Bucket=self._store.bucket.name, Key=artifact["storage_path"])
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}


@pytest.fixture
def stage(session: AsyncSession, store: ObjectStore, task: Task) -> Stage:
    return Stage(session, store, task)


async def uploaded(client: httpx.AsyncClient, url: str, content: bytes = b"hello", **overrides: Any) -> JSON:
    """Prepare a file, upload it, and return the item that finalises it."""
    prepared = await prepare(client, url, **overrides)
    assert (await upload(prepared, content)).status_code == 204
    return finalize_item(prepared)


class TestPrepare:
    """Contract 6.1 and 3.5."""

    async def test_answer_has_the_form_and_nothing_is_stored(
        self, client: httpx.AsyncClient, url: str, task: Task, stage: Stage, store: ObjectStore
    ) -> None:
        prepared = await prepare(client, url, name="a/b/notes.txt", source="web")
        key = f"tasks/artifacts/team_{task.project_id}/task_{task.id}/staged/{prepared['id']}/notes.txt"
        form = prepared.pop("presigned_post")
        assert prepared == {
            "id": prepared["id"],
            "name": "notes.txt",
            "type": "user_attachment",
            "source": "web",
            "size": 5,
            "content_type": "text/plain",
            "storage_path": key,
            "expires_in": 3600,
        }
        assert len(prepared["id"]) == 32
        assert form["fields"]["key"] == key
        assert all(isinstance(value, str) for value in form["fields"].values())
        assert await stage.entries() == []
        assert await store.head(key) is None

    @pytest.mark.walls
    async def test_policy_names_key_bucket_and_size_and_no_content_type(
        self, client: httpx.AsyncClient, url: str, settings: Settings
    ) -> None:
        prepared = await prepare(client, url, size=1000)
        policy = orjson.loads(base64.b64decode(prepared["presigned_post"]["fields"]["policy"]))
        assert ["content-length-range", 0, 1000 + 65536] in policy["conditions"]
        assert {"key": prepared["storage_path"]} in policy["conditions"]
        assert {"bucket": settings.s3_bucket} in policy["conditions"]
        assert "content-type" not in str(policy).lower()

    async def test_bad_item_is_named_before_the_task_is_looked_up(
        self, client: httpx.AsyncClient, tasks_url: str
    ) -> None:
        url = f"{tasks_url}/{MISSING}/staged_artifacts/prepare_upload"
        good = {"name": "b.txt", "type": "plan", "size": 5}
        changes: list[tuple[JSON, str, str]] = [
            ({"name": ""}, "name", "blank"),
            ({"name": None}, "name", "null"),
            ({"name": "x" * 256}, "name", "max_length"),
            ({"name": "a\0b"}, "name", "null_characters_not_allowed"),
            ({"type": "virus"}, "type", "invalid_choice"),
            ({"source": "s" * 65}, "source", "max_length"),
            ({"size": 0}, "size", "min_value"),
            ({"size": 31457281}, "size", "max_value"),
            ({"size": "many"}, "size", "invalid_input"),
            ({"content_type": "t" * 256}, "content_type", "max_length"),
            ({**PDF, "size": PDF_LIMIT + 1}, "size", "invalid_input"),
        ]
        for change, attr, code in changes:
            item = {"name": "a.txt", "type": "user_attachment", "size": 5} | change
            response = await client.post(url, json={"artifacts": [good, item]})
            with concerning(change):
                assert_invalid(response, f"artifacts__1__{attr}", code)

    @pytest.mark.parametrize("route", ["prepare_upload", "finalize_upload"])
    async def test_bad_list_is_refused(self, client: httpx.AsyncClient, url: str, route: str) -> None:
        assert_invalid(await client.post(f"{url}/{route}", json={}), "artifacts", "required")
        lists: list[tuple[Any, str, str, str | None]] = [
            (None, "artifacts", "null", None),
            ([], "artifacts", "invalid_input", "At least one artifact is required"),
            ({}, "artifacts__non_field_errors", "not_a_list", None),
            (["x"], "artifacts__0", "invalid_input", None),
            ([{}] * 101, "artifacts", "max_length", None),
        ]
        for artifacts, attr, code, detail in lists:
            response = await client.post(f"{url}/{route}", json={"artifacts": artifacts})
            with concerning(repr(artifacts)[:40]):
                assert_invalid(response, attr, code, detail)

    async def test_pdf_limits_are_those_of_attachments(self, client: httpx.AsyncClient, url: str) -> None:
        await prepare(client, url, **PDF, size=PDF_LIMIT)
        await prepare(client, url, **PDF, size=PDF_LIMIT + 1, type="reference")
        typed = {"name": "plan", "content_type": "Application/PDF; q=1", "size": PDF_LIMIT + 1}
        item = {"type": "user_attachment", **typed}
        response = await client.post(f"{url}/prepare_upload", json={"artifacts": [item]})
        assert_invalid(
            response, "artifacts__0__size", "invalid_input", "plan exceeds the 10MB attachment limit"
        )


class TestForm:
    """Uploads that the store itself refuses (contract 8.2)."""

    @pytest.mark.walls
    async def test_file_beyond_the_announced_size_or_with_another_key_is_refused(
        self, client: httpx.AsyncClient, url: str, store: ObjectStore
    ) -> None:
        prepared = await prepare(client, url, size=10)
        assert (await upload(prepared, b"x" * (10 + 65536 + 1))).status_code == 400
        assert await store.head(prepared["storage_path"]) is None
        other = prepared["storage_path"].replace("notes", "other")
        assert (await upload(prepared, key=other)).status_code == 403
        assert await store.head(other) is None

    @pytest.mark.walls
    async def test_tampered_policy_is_refused(self, client: httpx.AsyncClient, url: str) -> None:
        prepared = await prepare(client, url, size=10)
        policy = orjson.loads(base64.b64decode(prepared["presigned_post"]["fields"]["policy"]))
        policy["conditions"][0][2] = 10**9
        tampered = base64.b64encode(orjson.dumps(policy)).decode()
        assert (await upload(prepared, policy=tampered)).status_code == 403

    async def test_expired_form_is_refused(
        self, client: httpx.AsyncClient, url: str, store: ObjectStore
    ) -> None:
        prepared = await prepare(client, url)
        form = await store.urls.form(prepared["storage_path"], max_bytes=100, lifetime=timedelta(seconds=-1))
        late = {"presigned_post": form._asdict()}
        assert (await upload(late)).status_code == 403
        assert await store.head(prepared["storage_path"]) is None

    async def test_name_cannot_stand_for_a_name_of_the_uploaders_choice(
        self, client: httpx.AsyncClient, url: str
    ) -> None:
        prepared = await prepare(client, url, name="x${filename}")
        assert "${" not in prepared["storage_path"]
        policy = orjson.loads(base64.b64decode(prepared["presigned_post"]["fields"]["policy"]))
        assert {"key": prepared["storage_path"]} in policy["conditions"]


class TestFinalize:
    """Contract 5.9."""

    async def test_entry_lives_a_day_and_the_object_is_tagged_for_one(
        self, client: httpx.AsyncClient, url: str, task: Task, stage: Stage, clock: MovableClock
    ) -> None:
        item = await uploaded(client, url)
        [finished] = (await finalize(client, url, item)).json()["artifacts"]
        assert list(finished) == [
            "id", "name", "type", "source", "size", "content_type", "storage_path", "uploaded_at",
        ]  # fmt: skip
        assert (finished["size"], finished["content_type"]) == (5, "text/plain")
        assert finished["uploaded_at"] == clock().isoformat()
        [entry] = await stage.entries()
        assert entry.expires_at == clock() + timedelta(hours=24)
        assert await stage.tags(finished) == {"ttl_days": "1", "team_id": str(task.project_id)}

        # Repeating renews the day.
        clock.advance(hours=2)
        assert (await finalize(client, url, item)).status_code == 200
        [entry] = await stage.entries()
        assert entry.expires_at == clock() + timedelta(hours=24)

    async def test_real_size_counts_and_the_stores_type_where_none_is_given(
        self, client: httpx.AsyncClient, url: str, store: ObjectStore
    ) -> None:
        item = await uploaded(client, url, b"four", size=100, content_type="")
        [finished] = (await finalize(client, url, item)).json()["artifacts"]
        stored = await store.head(item["storage_path"])
        assert stored is not None
        assert stored.content_type
        assert (finished["size"], finished["content_type"]) == (4, stored.content_type)

    async def test_replaced_object_is_measured_again(self, client: httpx.AsyncClient, url: str) -> None:
        prepared = await prepare(client, url)
        for content in (b"hello", b"hello again"):
            await upload(prepared, content)
            [finished] = (await finalize(client, url, finalize_item(prepared))).json()["artifacts"]
            assert finished["size"] == len(content)

    async def test_object_grown_beyond_the_limit_is_refused(
        self, client: httpx.AsyncClient, url: str, stage: Stage
    ) -> None:
        # The form leaves room for the overhead of the form itself, which a file may use to exceed the limit.
        item = await uploaded(client, url, b"x" * (PDF_LIMIT + 1), **PDF, size=PDF_LIMIT)
        detail = "plan.pdf exceeds the 10MB attachment limit for PDFs in cloud runs"
        assert_refused(await finalize(client, url, item), detail)
        assert await stage.entries() == []

    async def test_missing_object_is_refused_and_nothing_of_the_rest_is_kept(
        self, client: httpx.AsyncClient, url: str, stage: Stage
    ) -> None:
        item, missing = await uploaded(client, url), finalize_item(await prepare(client, url))
        assert_refused(await finalize(client, url, item, missing), NOT_FOUND)
        assert await stage.entries() == []
        assert await stage.tags(item) == {}

    async def test_first_failure_in_the_order_of_the_request_wins(
        self, client: httpx.AsyncClient, url: str
    ) -> None:
        missing = finalize_item(await prepare(client, url))
        foreign = missing | {"storage_path": "elsewhere"}
        assert_refused(await finalize(client, url, missing, foreign), NOT_FOUND)
        assert_refused(await finalize(client, url, foreign, missing), WRONG_PATH)

    async def test_path_that_was_not_handed_out_is_refused(
        self, client: httpx.AsyncClient, url: str, new_task: NewTask, tasks_url: str
    ) -> None:
        item = await uploaded(client, url)
        own = item["id"]
        prefix = item["storage_path"].removesuffix(f"{own}/notes.txt")
        of_other_task = await uploaded(client, f"{tasks_url}/{(await new_task()).id}/staged_artifacts")
        assert_refused(await finalize(client, url, of_other_task), WRONG_PATH)
        for path in (
            *(f"{own}/../{own}/notes.txt", f"{own}/sub/notes.txt", f"{own}/", own, f"other/{own}/notes.txt"),
            *(f"../staged/{own}/notes.txt", f"{own}/..", f"{own}/no\u202etes.txt"),
        ):
            with concerning(path):
                wrong = item | {"storage_path": prefix + path}
                assert_refused(await finalize(client, url, wrong), WRONG_PATH)
        absolute = item | {"storage_path": "/" + item["storage_path"]}
        assert_refused(await finalize(client, url, absolute), WRONG_PATH)

    async def test_id_repeated_in_one_request_is_one_entry(
        self, client: httpx.AsyncClient, url: str, stage: Stage
    ) -> None:
        item = await uploaded(client, url)
        response = await finalize(client, url, item, item | {"source": "second"})
        assert [entry["source"] for entry in response.json()["artifacts"]] == ["", "second"]
        assert [entry.source for entry in await stage.entries()] == ["second"]

    async def test_upload_as_old_as_the_sweeper_takes_is_not_accepted_any_more(
        self, client: httpx.AsyncClient, url: str, clock: MovableClock
    ) -> None:
        clock.now = datetime.now(UTC)  # the store has a clock of its own
        item = await uploaded(client, url)
        clock.advance(hours=23, minutes=5)
        assert_refused(await finalize(client, url, item), NOT_FOUND)


class TestTakenByARun:
    """Contract 5.8 step 8, 8.3, 11 #11 and #18."""

    async def run(self, client: httpx.AsyncClient, run_url: str, *ids: str) -> httpx.Response:
        return await client.post(run_url, json={"pending_user_artifact_ids": ids})

    async def assert_missing(self, client: httpx.AsyncClient, run_url: str, artifact: JSON) -> None:
        response = await self.run(client, run_url, artifact["id"])
        assert response.status_code == 400
        assert response.json()["missing_artifact_ids"] == [artifact["id"]]

    async def test_files_are_attached_in_the_order_of_the_request_once_each(
        self, client: httpx.AsyncClient, run_url: str, url: str, task: Task, stage: Stage
    ) -> None:
        first = await upload_and_finalize(client, url, name="first.txt")
        second = await upload_and_finalize(client, url, name="second.txt")
        response = await self.run(client, run_url, second["id"], first["id"], second["id"])
        assert response.status_code == 200, response.text
        latest = response.json()["latest_run"]
        assert [artifact["id"] for artifact in latest["artifacts"]] == [second["id"], first["id"]]
        assert latest["state"]["pending_user_artifact_ids"] == [second["id"], first["id"]]
        assert await stage.entries() == []
        for artifact in (first, second):
            assert await stage.tags(artifact) == {"ttl_days": "30", "team_id": str(task.project_id)}
        # A second run finds them gone.
        await self.assert_missing(client, run_url, first)

    async def test_unknown_ids_are_named_in_order_and_nothing_is_taken(
        self, client: httpx.AsyncClient, run_url: str, url: str, stage: Stage, session: AsyncSession
    ) -> None:
        known = await upload_and_finalize(client, url)
        response = await self.run(client, run_url, "zz", known["id"], "aa", "zz")
        assert response.status_code == 400
        assert response.json() == {
            "detail": "Some pending_user_artifact_ids are invalid or expired",
            "missing_artifact_ids": ["zz", "aa"],
        }
        assert [entry.artifact_id for entry in await stage.entries()] == [known["id"]]
        assert await session.scalar(select(func.count(Run.id))) == 0

    async def test_expired_entry_is_missing_at_the_instant_of_its_expiry(
        self, client: httpx.AsyncClient, run_url: str, url: str, clock: MovableClock
    ) -> None:
        finished = await upload_and_finalize(client, url)
        clock.advance(hours=24)
        await self.assert_missing(client, run_url, finished)

    async def test_finalising_an_attached_file_again_keeps_its_thirty_days(
        self, client: httpx.AsyncClient, run_url: str, url: str, stage: Stage
    ) -> None:
        item = await uploaded(client, url)
        for _ in range(2):
            assert (await finalize(client, url, item)).status_code == 200
            assert (await self.run(client, run_url, item["id"])).status_code == 200
            assert (await stage.tags(item))["ttl_days"] == "30"
        assert (await finalize(client, url, item)).status_code == 200
        assert (await stage.tags(item))["ttl_days"] == "30"

    async def test_id_of_another_task_is_missing(
        self, client: httpx.AsyncClient, run_url: str, tasks_url: str, new_task: NewTask
    ) -> None:
        url = f"{tasks_url}/{(await new_task()).id}/staged_artifacts"
        await self.assert_missing(client, run_url, await upload_and_finalize(client, url))
