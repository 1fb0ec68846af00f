"""Files for the next run: prepare, upload, finalise, take (contract 5.9, 6.1, 8), on a real object store."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.s3.store import S3Store
from app.config import Settings
from app.models import Project, Run, StagedArtifact, Task, User
from tests.support.assertions import assert_invalid, assert_not_found
from tests.support.callers import CallerKind
from tests.support.clock import MovableClock
from tests.support.factories import make_task
from tests.support.uploads import finalize_item, prepare, upload, upload_and_finalize

MISSING = "00000000000000000000000000000000"
PDF = {"name": "plan.pdf", "content_type": "application/pdf"}
PDF_LIMIT = 10 * 1024 * 1024


@pytest.fixture
def url(task_url: str) -> str:
    return f"{task_url}/staged_artifacts"


async def finalize(client: httpx.AsyncClient, url: str, *items: Any) -> httpx.Response:
    return await client.post(f"{url}/finalize_upload", json={"artifacts": list(items)})


def assert_refused(response: httpx.Response, error: str) -> None:
    assert (response.status_code, response.json()) == (400, {"error": error})


async def tags_of(store: S3Store, key: str) -> dict[str, str]:
    client = (await store.clients()).internal
    answer = await client.get_object_tagging(Bucket=store.bucket, Key=key)
    return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}


async def staged(session: AsyncSession, task: Task) -> list[StagedArtifact]:
    rows = await session.scalars(select(StagedArtifact).where(StagedArtifact.task_id == task.id))
    return list(rows)


class TestPrepare:
    """Contract 6.1 and 3.5."""

    async def test_answer_has_the_form_and_nothing_is_stored(
        self, client: httpx.AsyncClient, url: str, task: Task, session: AsyncSession, store: S3Store
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
        assert await staged(session, task) == []
        assert await store.head(key) is None

    async def test_policy_names_key_bucket_and_size_and_no_content_type(
        self, client: httpx.AsyncClient, url: str, settings: Settings
    ) -> None:
        prepared = await prepare(client, url, size=1000)
        policy = orjson.loads(base64.b64decode(prepared["presigned_post"]["fields"]["policy"]))
        assert ["content-length-range", 0, 1000 + 65536] in policy["conditions"]
        assert {"key": prepared["storage_path"]} in policy["conditions"]
        assert {"bucket": settings.s3_bucket} in policy["conditions"]
        assert "content-type" not in str(policy).lower()

    @pytest.mark.parametrize(
        ("change", "attr", "code"),
        [
            pytest.param({"name": ""}, "name", "blank", id="6.1-blank-name"),
            pytest.param({"name": None}, "name", "null", id="6.1-null-name"),
            pytest.param({"name": "x" * 256}, "name", "max_length", id="6.1-long-name"),
            pytest.param({"name": "a\0b"}, "name", "null_characters_not_allowed", id="12.12-nul"),
            pytest.param({"type": "virus"}, "type", "invalid_choice", id="6.1-type"),
            pytest.param({"source": "s" * 65}, "source", "max_length", id="6.1-long-source"),
            pytest.param({"size": 0}, "size", "min_value", id="6.1-nothing"),
            pytest.param({"size": 31457281}, "size", "max_value", id="6.1-too-large"),
            pytest.param({"size": "many"}, "size", "invalid_input", id="6.1-no-number"),
            pytest.param({"content_type": "t" * 256}, "content_type", "max_length", id="6.1-long-type"),
            pytest.param({**PDF, "size": PDF_LIMIT + 1}, "size", "invalid_input", id="8.2-large-pdf"),
        ],
    )
    async def test_bad_item_is_named_before_the_task_is_looked_up(
        self, client: httpx.AsyncClient, tasks_url: str, change: dict[str, Any], attr: str, code: str
    ) -> None:
        item = {"name": "a.txt", "type": "user_attachment", "size": 5} | change
        good = {"name": "b.txt", "type": "plan", "size": 5}
        response = await client.post(
            f"{tasks_url}/{MISSING}/staged_artifacts/prepare_upload", json={"artifacts": [good, item]}
        )
        assert_invalid(response, f"artifacts__1__{attr}", code)

    @pytest.mark.parametrize("route", ["prepare_upload", "finalize_upload"])
    @pytest.mark.parametrize(
        ("body", "attr", "code", "detail"),
        [
            pytest.param({}, "artifacts", "required", None, id="5.9-absent"),
            pytest.param({"artifacts": None}, "artifacts", "null", None, id="5.9-null"),
            pytest.param(
                {"artifacts": []},
                "artifacts",
                "invalid_input",
                "At least one artifact is required",
                id="5.9-empty",
            ),
            pytest.param(
                {"artifacts": {}}, "artifacts__non_field_errors", "not_a_list", None, id="2.4-object"
            ),
            pytest.param({"artifacts": ["x"]}, "artifacts__0", "invalid_input", None, id="2.4-text-item"),
            pytest.param({"artifacts": [{}] * 101}, "artifacts", "max_length", None, id="too-many"),
        ],
    )
    async def test_bad_list_is_refused(
        self,
        client: httpx.AsyncClient,
        url: str,
        route: str,
        body: dict[str, Any],
        attr: str,
        code: str,
        detail: str | None,
    ) -> None:
        assert_invalid(await client.post(f"{url}/{route}", json=body), attr, code, detail)

    async def test_pdf_limits_are_those_of_attachments(self, client: httpx.AsyncClient, url: str) -> None:
        await prepare(client, url, **PDF, size=PDF_LIMIT)
        await prepare(client, url, **PDF, size=PDF_LIMIT + 1, type="reference")
        typed = {"name": "plan", "content_type": "Application/PDF; q=1", "size": PDF_LIMIT + 1}
        item = {"type": "user_attachment", **typed}
        response = await client.post(f"{url}/prepare_upload", json={"artifacts": [item]})
        assert_invalid(
            response, "artifacts__0__size", "invalid_input", "plan exceeds the 10MB attachment limit"
        )

    @pytest.mark.caller(CallerKind.MEMBER)
    @pytest.mark.parametrize("route", ["prepare_upload", "finalize_upload"])
    async def test_other_members_private_task_is_not_found(
        self, client: httpx.AsyncClient, url: str, route: str
    ) -> None:
        prepared = {"name": "a", "type": "plan", "size": 1, "id": MISSING, "storage_path": "x"}
        assert_not_found(await client.post(f"{url}/{route}", json={"artifacts": [prepared]}))


class TestForm:
    """What the store itself refuses (contract 8.2)."""

    async def test_file_of_the_announced_size_is_taken(self, client: httpx.AsyncClient, url: str) -> None:
        assert (await upload(await prepare(client, url))).status_code == 204

    async def test_file_beyond_the_announced_size_is_refused(
        self, client: httpx.AsyncClient, url: str, store: S3Store
    ) -> None:
        prepared = await prepare(client, url, size=10)
        assert (await upload(prepared, b"x" * (10 + 65536 + 1))).status_code == 400
        assert await store.head(prepared["storage_path"]) is None

    async def test_other_key_is_refused(self, client: httpx.AsyncClient, url: str, store: S3Store) -> None:
        prepared = await prepare(client, url)
        other = prepared["storage_path"].replace("notes", "other")
        assert (await upload(prepared, key=other)).status_code == 403
        assert await store.head(other) is None

    async def test_tampered_policy_is_refused(self, client: httpx.AsyncClient, url: str) -> None:
        prepared = await prepare(client, url, size=10)
        policy = orjson.loads(base64.b64decode(prepared["presigned_post"]["fields"]["policy"]))
        policy["conditions"][0][2] = 10**9
        tampered = base64.b64encode(orjson.dumps(policy)).decode()
        assert (await upload(prepared, policy=tampered)).status_code == 403

    async def test_expired_form_is_refused(self, client: httpx.AsyncClient, url: str, store: S3Store) -> None:
        prepared = await prepare(client, url)
        form = await store.signed_form(
            prepared["storage_path"], max_bytes=100, lifetime=timedelta(seconds=-1)
        )
        late = {"presigned_post": {"url": form.url, "fields": form.fields}}
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
        self,
        client: httpx.AsyncClient,
        url: str,
        task: Task,
        session: AsyncSession,
        store: S3Store,
        clock: MovableClock,
    ) -> None:
        finished = await upload_and_finalize(client, url, b"hello")
        assert list(finished) == [
            "id", "name", "type", "source", "size", "content_type", "storage_path", "uploaded_at",
        ]  # fmt: skip
        assert (finished["size"], finished["content_type"]) == (5, "text/plain")
        assert finished["uploaded_at"] == clock().isoformat()
        [entry] = await staged(session, task)
        assert entry.expires_at == clock() + timedelta(hours=24)
        assert await tags_of(store, finished["storage_path"]) == {
            "ttl_days": "1",
            "team_id": str(task.project_id),
        }

    async def test_repeating_renews_the_day(
        self, client: httpx.AsyncClient, url: str, task: Task, session: AsyncSession, clock: MovableClock
    ) -> None:
        prepared = await prepare(client, url)
        await upload(prepared)
        await finalize(client, url, finalize_item(prepared))
        clock.advance(hours=2)
        assert (await finalize(client, url, finalize_item(prepared))).status_code == 200
        [entry] = await staged(session, task)
        assert entry.expires_at == clock() + timedelta(hours=24)

    async def test_real_size_counts_and_the_stores_type_where_none_is_given(
        self, client: httpx.AsyncClient, url: str, store: S3Store
    ) -> None:
        prepared = await prepare(client, url, size=100, content_type="")
        await upload(prepared, b"four")
        item = finalize_item(prepared)
        response = await finalize(client, url, item)
        [finished] = response.json()["artifacts"]
        stored = await store.head(prepared["storage_path"])
        assert stored is not None
        assert stored.content_type
        assert (finished["size"], finished["content_type"]) == (4, stored.content_type)

    async def test_replaced_object_is_measured_again(self, client: httpx.AsyncClient, url: str) -> None:
        prepared = await prepare(client, url)
        await upload(prepared, b"hello")
        first = await finalize(client, url, finalize_item(prepared))
        await upload(prepared, b"hello again")
        second = await finalize(client, url, finalize_item(prepared))
        sizes = [answer.json()["artifacts"][0]["size"] for answer in (first, second)]
        assert sizes == [5, 11]

    async def test_object_grown_beyond_the_limit_is_refused(
        self, client: httpx.AsyncClient, url: str, task: Task, session: AsyncSession
    ) -> None:
        # The form leaves room for the overhead of the form itself, which a file may use to exceed the limit.
        prepared = await prepare(client, url, **PDF, size=PDF_LIMIT)
        assert (await upload(prepared, b"x" * (PDF_LIMIT + 1))).status_code == 204
        assert_refused(
            await finalize(client, url, finalize_item(prepared)),
            "plan.pdf exceeds the 10MB attachment limit for PDFs in cloud runs",
        )
        assert await staged(session, task) == []

    async def test_missing_object_is_refused_and_nothing_of_the_rest_is_kept(
        self, client: httpx.AsyncClient, url: str, task: Task, session: AsyncSession, store: S3Store
    ) -> None:
        uploaded, missing = await prepare(client, url), await prepare(client, url)
        await upload(uploaded)
        response = await finalize(client, url, finalize_item(uploaded), finalize_item(missing))
        assert_refused(response, "Artifact upload not found in object storage")
        assert await staged(session, task) == []
        assert await tags_of(store, uploaded["storage_path"]) == {}

    async def test_first_failure_in_the_order_of_the_request_wins(
        self, client: httpx.AsyncClient, url: str
    ) -> None:
        missing = finalize_item(await prepare(client, url))
        foreign = missing | {"storage_path": "elsewhere"}
        assert_refused(
            await finalize(client, url, missing, foreign), "Artifact upload not found in object storage"
        )
        assert_refused(
            await finalize(client, url, foreign, missing), "Artifact storage path is invalid for this task"
        )

    @pytest.mark.parametrize(
        "path",
        [
            "{prefix}{id}/../{id}/notes.txt",
            "{prefix}{id}/sub/notes.txt",
            "{prefix}{id}/",
            "{prefix}{id}",
            "{prefix}other/{id}/notes.txt",
            "{prefix}../staged/{id}/notes.txt",
            "/{prefix}{id}/notes.txt",
            "{prefix}{id}/..",
            "{prefix}{id}/no\u202etes.txt",
        ],
    )
    async def test_path_that_was_not_handed_out_is_refused(
        self, client: httpx.AsyncClient, url: str, path: str
    ) -> None:
        prepared = await prepare(client, url)
        await upload(prepared)
        prefix = prepared["storage_path"].removesuffix(f"{prepared['id']}/notes.txt")
        item = finalize_item(prepared, storage_path=path.format(prefix=prefix, id=prepared["id"]))
        assert_refused(await finalize(client, url, item), "Artifact storage path is invalid for this task")

    async def test_upload_of_another_task_is_refused(
        self,
        client: httpx.AsyncClient,
        url: str,
        tasks_url: str,
        session: AsyncSession,
        project: Project,
        owner: User,
    ) -> None:
        other = await make_task(session, project=project, created_by=owner)
        prepared = await prepare(client, f"{tasks_url}/{other.id}/staged_artifacts")
        await upload(prepared)
        assert_refused(
            await finalize(client, url, finalize_item(prepared)),
            "Artifact storage path is invalid for this task",
        )

    async def test_id_repeated_in_one_request_is_one_entry(
        self, client: httpx.AsyncClient, url: str, task: Task, session: AsyncSession
    ) -> None:
        prepared = await prepare(client, url)
        await upload(prepared)
        item = finalize_item(prepared)
        response = await finalize(client, url, item, item | {"source": "second"})
        assert [entry["source"] for entry in response.json()["artifacts"]] == ["", "second"]
        assert [entry.source for entry in await staged(session, task)] == ["second"]

    async def test_upload_as_old_as_the_sweeper_takes_is_not_accepted_any_more(
        self, client: httpx.AsyncClient, url: str, clock: MovableClock
    ) -> None:
        clock.now = datetime.now(UTC)  # the store has a clock of its own
        prepared = await prepare(client, url)
        await upload(prepared)
        clock.advance(hours=23, minutes=5)
        assert_refused(
            await finalize(client, url, finalize_item(prepared)),
            "Artifact upload not found in object storage",
        )


class TestTakenByARun:
    """Contract 5.8 step 8, 8.3, 11 #11 and #18."""

    async def run(self, client: httpx.AsyncClient, task_url: str, *ids: str) -> httpx.Response:
        return await client.post(f"{task_url}/run", json={"pending_user_artifact_ids": ids})

    async def test_files_are_attached_in_the_order_of_the_request_once_each(
        self,
        client: httpx.AsyncClient,
        task_url: str,
        url: str,
        task: Task,
        session: AsyncSession,
        store: S3Store,
    ) -> None:
        first = await upload_and_finalize(client, url, name="first.txt")
        second = await upload_and_finalize(client, url, name="second.txt")
        response = await self.run(client, task_url, second["id"], first["id"], second["id"])
        assert response.status_code == 200, response.text
        latest = response.json()["latest_run"]
        assert latest["artifacts"] == [second, first]
        assert latest["state"]["pending_user_artifact_ids"] == [second["id"], first["id"]]
        assert await staged(session, task) == []
        for artifact in (first, second):
            tags = await tags_of(store, artifact["storage_path"])
            assert tags == {"ttl_days": "30", "team_id": str(task.project_id)}

    async def test_unknown_ids_are_named_in_order_and_nothing_is_taken(
        self,
        client: httpx.AsyncClient,
        task_url: str,
        url: str,
        task: Task,
        session: AsyncSession,
    ) -> None:
        known = await upload_and_finalize(client, url)
        response = await self.run(client, task_url, "zz", known["id"], "aa", "zz")
        assert response.status_code == 400
        assert response.json() == {
            "detail": "Some pending_user_artifact_ids are invalid or expired",
            "missing_artifact_ids": ["zz", "aa"],
        }
        assert [entry.artifact_id for entry in await staged(session, task)] == [known["id"]]
        assert (await session.scalars(select(Run).where(Run.task_id == task.id))).all() == []

    async def test_second_run_finds_the_file_gone(
        self, client: httpx.AsyncClient, task_url: str, url: str
    ) -> None:
        finished = await upload_and_finalize(client, url)
        assert (await self.run(client, task_url, finished["id"])).status_code == 200
        response = await self.run(client, task_url, finished["id"])
        assert response.json()["missing_artifact_ids"] == [finished["id"]]

    async def test_expired_entry_is_missing_at_the_instant_of_its_expiry(
        self, client: httpx.AsyncClient, task_url: str, url: str, clock: MovableClock
    ) -> None:
        finished = await upload_and_finalize(client, url)
        clock.advance(hours=24)
        response = await self.run(client, task_url, finished["id"])
        assert response.json()["missing_artifact_ids"] == [finished["id"]]

    async def test_finalising_an_attached_file_again_keeps_its_thirty_days(
        self, client: httpx.AsyncClient, task_url: str, url: str, store: S3Store
    ) -> None:
        prepared = await prepare(client, url)
        await upload(prepared)
        await finalize(client, url, finalize_item(prepared))
        assert (await self.run(client, task_url, prepared["id"])).status_code == 200
        assert (await finalize(client, url, finalize_item(prepared))).status_code == 200
        assert (await tags_of(store, prepared["storage_path"]))["ttl_days"] == "30"
        assert (await self.run(client, task_url, prepared["id"])).status_code == 200

    async def test_id_of_another_task_is_missing(
        self,
        client: httpx.AsyncClient,
        task_url: str,
        tasks_url: str,
        session: AsyncSession,
        project: Project,
        owner: User,
    ) -> None:
        other = await make_task(session, project=project, created_by=owner)
        finished = await upload_and_finalize(client, f"{tasks_url}/{other.id}/staged_artifacts")
        response = await self.run(client, task_url, finished["id"])
        assert response.json()["missing_artifact_ids"] == [finished["id"]]
