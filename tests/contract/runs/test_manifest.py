"""Files of a run: inline, by form, by URL and as a stream (contract 6.4, 8, 9.2), on a real object store."""

import asyncio
import base64
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import override

from app.clients.storage.object_store import ObjectContent, ObjectStore
from app.ids import new_id
from app.models import Project, Run, Task, User
from app.runtime import ProcessContext
from tests.support.assertions import assert_invalid, assert_not_found, concerning
from tests.support.callers import bearer
from tests.support.clock import MovableClock, wire_time
from tests.support.factories import make_key, make_user
from tests.support.makers import NewRun, NewTask
from tests.support.web.clients import in_process_client, socket_client
from tests.support.web.routes import GATED_TASK_ROUTES
from tests.support.web.uploads import finalize_item, prepare, upload, upload_and_finalize

JSON = dict[str, Any]


@pytest.fixture
def url_of(task_url: str) -> Callable[[Run], str]:
    return lambda run: f"{task_url}/runs/{run.id}/artifacts"


@pytest.fixture
def url(url_of: Callable[[Run], str], run: Run) -> str:
    return url_of(run)


async def add(client: httpx.AsyncClient, url: str, **item: Any) -> JSON:
    """Store a file inline and return its entry, the last of the manifest."""
    body = {"name": "notes.txt", "type": "output", "content": "hello", "content_type": "text/plain"}
    response = await client.post(url, json={"artifacts": [body | item]})
    assert response.status_code == 200, response.text
    return dict(response.json()["artifacts"][-1])


async def download(client: httpx.AsyncClient, url: str, path: str, **headers: str) -> httpx.Response:
    return await client.get(
        f"{url}/download",
        params={"storage_path": path},
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def path_of(entry: JSON) -> dict[str, str]:
    return {"storage_path": entry["storage_path"]}


def assert_no_artifact(response: httpx.Response) -> None:
    assert (response.status_code, response.json()) == (404, {"error": "Artifact not found on this run"})


class TestInline:
    async def test_name_may_be_as_long_as_a_name_of_a_file(self, client: httpx.AsyncClient, url: str) -> None:
        """The prefix of the key (8.1) must not make it too long for a store on a file system."""
        for name in ("x" * 255, "日" * 85, "x" * 251 + ".txt"):
            entry = await add(client, url, name=name)
            assert entry["name"] == name
            assert (await download(client, url, entry["storage_path"])).content == b"hello"

    async def test_answer_is_the_whole_manifest(
        self, client: httpx.AsyncClient, url: str, task: Task, run: Run, owner: User
    ) -> None:
        first = await add(client, url, name="a/first.txt", source="agent")
        response = await client.post(
            url, json={"artifacts": [{"name": "b.bin", "type": "plan", "content": " é ", "content_type": ""}]}
        )
        assert [entry["name"] for entry in response.json()["artifacts"]] == ["first.txt", "b.bin"]
        prefix = f"tasks/artifacts/team_{task.project_id}/task_{task.id}/run_{run.id}"
        assert first == {
            "id": first["id"],
            "name": "first.txt",
            "type": "output",
            "source": "agent",
            "size": 5,
            "content_type": "text/plain",
            "storage_path": f"{prefix}/{first['id'][:8]}_first.txt",
            "uploaded_at": first["uploaded_at"],
            "url": f"{client.base_url}{url}/{first['id']}/download",
            "uploaded_by": "user",
            "uploaded_by_user_id": owner.id,
            "dismissed_at": None,
            "metadata": None,
        }
        assert first["uploaded_at"].endswith("+00:00")
        second = response.json()["artifacts"][1]
        answer = await download(client, url, second["storage_path"])
        assert answer.content == " é ".encode()

    async def test_manifest_is_part_of_the_run(self, client: httpx.AsyncClient, url: str) -> None:
        entry = await add(client, url)
        run = await client.get(url.removesuffix("/artifacts"))
        assert run.json()["artifacts"] == [entry]

    async def test_content_in_base64_is_stored_decoded(self, client: httpx.AsyncClient, url: str) -> None:
        content = bytes(range(256))
        entry = await add(client, url, content=base64.b64encode(content).decode(), content_encoding="base64")
        assert entry["size"] == 256
        assert (await download(client, url, entry["storage_path"])).content == content

    async def test_bad_item_is_named_before_the_run_is_looked_up(
        self, client: httpx.AsyncClient, task_url: str
    ) -> None:
        no_base64, too_large = (
            "Invalid base64 content",
            "a.pdf exceeds the 10MB attachment limit for PDFs in cloud runs",
        )
        large_pdf = {"name": "a.pdf", "type": "user_attachment", "content": "x" * (10 * 2**20 + 1)}
        changes: list[tuple[JSON, str, str, str | None]] = [
            ({"content": "no base64!", "content_encoding": "base64"}, "content", "invalid_input", no_base64),
            ({"content": "é", "content_encoding": "base64"}, "content", "invalid_input", no_base64),
            ({"content_encoding": "gzip"}, "content_encoding", "invalid_choice", None),
            ({"content": None}, "content", "null", None),
            ({"content": ["x"]}, "content", "invalid_input", None),
            (large_pdf, "content", "invalid_input", too_large),
        ]
        for change, attr, code, detail in changes:
            item = {"name": "a.txt", "type": "output", "content": "x"} | change
            response = await client.post(f"{task_url}/runs/{new_id()}/artifacts", json={"artifacts": [item]})
            with concerning(repr(change)[:99]):
                assert_invalid(response, f"artifacts__0__{attr}", code, detail)


class TestUpload:
    async def test_uploaded_file_joins_the_manifest_and_repeating_changes_nothing(
        self, client: httpx.AsyncClient, url: str
    ) -> None:
        inline = await add(client, url)
        prepared = await prepare(client, url, type="output")
        assert (await upload(prepared)).status_code == 204
        body = {"artifacts": [finalize_item(prepared)]}
        answers = [await client.post(f"{url}/finalize_upload", json=body) for _ in range(2)]
        [first], [second] = (answer.json()["artifacts"] for answer in answers)
        assert first == second
        assert first["storage_path"] == prepared["storage_path"]
        assert first["storage_path"].endswith(f"/{prepared['id'][:8]}_notes.txt")
        run = await client.get(url.removesuffix("/artifacts"))
        assert run.json()["artifacts"] == [inline, first]

    async def test_missing_upload_and_upload_of_another_run_are_refused(
        self, client: httpx.AsyncClient, url: str, url_of: Callable[[Run], str], new_run: NewRun
    ) -> None:
        of_other_run = await prepare(client, url_of(await new_run()))
        await upload(of_other_run)
        for prepared, error in (
            (of_other_run, "Artifact storage path is invalid for this run"),
            (await prepare(client, url), "Artifact upload not found in object storage"),
        ):
            body = {"artifacts": [finalize_item(prepared)]}
            response = await client.post(f"{url}/finalize_upload", json=body)
            assert (response.status_code, response.json()) == (400, {"error": error})


class TestPresign:
    async def test_url_gives_the_file_without_a_key(self, client: httpx.AsyncClient, url: str) -> None:
        entry = await add(client, url, name="page.html", content="<script>", content_type="text/html")
        response = await client.post(f"{url}/presign", json={"storage_path": entry["storage_path"]})
        assert list(response.json()) == ["url", "expires_in"]
        assert response.json()["expires_in"] == 3600
        async with socket_client() as storage:
            answer = await storage.get(response.json()["url"])
        assert answer.text == "<script>"
        assert answer.headers["content-disposition"] == 'attachment; filename="page.html"'

    async def test_unknown_path_is_not_found(
        self, client: httpx.AsyncClient, url: str, url_of: Callable[[Run], str], new_run: NewRun
    ) -> None:
        entry = await add(client, url_of(await new_run()))
        for path in ("nothing", entry["storage_path"]):
            assert_no_artifact(await client.post(f"{url}/presign", json={"storage_path": path}))


class TestDownload:
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_file_is_sent_with_what_keeps_browsers_from_running_it(
        self, client: httpx.AsyncClient, url: str, method: str
    ) -> None:
        entry = await add(client, url, name="page.html", content="<b>hi</b>", content_type="text/html")
        path = {"storage_path": entry["storage_path"]}
        place = {"params": path} if method == "GET" else {"json": path}
        response = await client.request(method, f"{url}/download", **place)  # type: ignore[arg-type] # one of two forms
        assert response.status_code == 200
        assert response.text == "<b>hi</b>"
        assert response.headers["content-disposition"] == 'attachment; filename="page.html"'
        assert response.headers["content-type"] == "text/html"
        assert response.headers["content-length"] == "9"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in response.headers["content-security-policy"]

    async def test_only_harmless_types_are_shown_inline(self, client: httpx.AsyncClient, url: str) -> None:
        for content_type, shown, sent in (
            ("image/png", "inline", "image/png"),
            ("text/plain; charset=utf-8", "inline", "text/plain"),
            ("image/svg+xml", "attachment", "image/svg+xml"),
            ("application/pdf", "attachment", "application/pdf"),
            ("", "attachment", "application/octet-stream"),
            ("text/html\r\nX-Injected: 1", "attachment", "application/octet-stream"),
            ("nonsense", "attachment", "application/octet-stream"),
        ):
            entry = await add(client, url, content_type=content_type)
            response = await download(client, url, entry["storage_path"])
            with concerning(content_type):
                assert response.headers["content-disposition"].partition(";")[0] == shown
                assert response.headers["content-type"] == sent
                assert "x-injected" not in response.headers

    async def test_any_name_fits_into_the_header(self, client: httpx.AsyncClient, url: str) -> None:
        entry = await add(client, url, name='räp"or\\t\u202e %41.txt')
        response = await download(client, url, entry["storage_path"])
        assert response.headers["content-disposition"] == (
            "inline; filename=\"r_p_or_t _41.txt\"; filename*=UTF-8''r%C3%A4p%22or%5Ct%20%2541.txt"
        )

    async def test_head_reads_nothing_of_the_file(
        self, client: httpx.AsyncClient, application: FastAPI, url: str
    ) -> None:
        entry = await add(client, url, content="0123456789")
        process: ProcessContext = application.state.process

        has_read = False

        class Watched(ObjectStore):
            """A store that notes when a file is read."""

            @override
            @asynccontextmanager
            async def open(self, key: str, **options: Any) -> AsyncGenerator[ObjectContent, None]:
                async def chunks(content: ObjectContent) -> AsyncGenerator[bytes, None]:
                    nonlocal has_read
                    has_read = True
                    async for chunk in content.chunks:
                        yield chunk

                async with super().open(key, **options) as content:
                    yield replace(content, chunks=chunks(content))

        whole = await download(client, url, entry["storage_path"])
        async with Watched(process.settings) as store:
            application.state.process = replace(process, store=store)
            head = await client.head(f"{url}/download", params=path_of(entry))
        assert (head.status_code, head.content, has_read) == (200, b"", False)
        for name in ("content-type", "content-length", "content-disposition", "etag", "accept-ranges"):
            assert head.headers[name] == whole.headers[name]

    async def test_range_gives_a_part(self, client: httpx.AsyncClient, url: str) -> None:
        path = (await add(client, url, content="0123456789"))["storage_path"]
        for wanted, status, content, content_range in (
            ("bytes=0-4", 206, b"01234", "bytes 0-4/10"),
            ("bytes=7-", 206, b"789", "bytes 7-9/10"),
            ("bytes=-2", 206, b"89", "bytes 8-9/10"),
            ("bytes=5-100", 206, b"56789", "bytes 5-9/10"),
            *(
                (wanted, 200, b"0123456789", None)
                for wanted in ("bytes=0-1,4-5", "bytes=5-2", "lines=1-2", "bytes=")
            ),
        ):
            response = await download(client, url, path, Range=wanted)
            with concerning(wanted):
                assert (response.status_code, response.content) == (status, content)
                assert response.headers.get("content-range") == content_range
                assert response.headers["accept-ranges"] == "bytes"
        behind_the_end = await download(client, url, path, Range="bytes=10-")
        assert (behind_the_end.status_code, behind_the_end.content) == (416, b"")

    async def test_part_of_another_version_is_answered_with_the_whole(
        self, client: httpx.AsyncClient, url: str
    ) -> None:
        path = (await add(client, url, content="0123456789"))["storage_path"]
        version = (await download(client, url, path)).headers["etag"]
        same = await download(client, url, path, Range="bytes=0-1", If_Range=version)
        other = await download(client, url, path, Range="bytes=0-1", If_Range='"other"')
        weak = await download(client, url, path, Range="bytes=0-1", If_Range=f"W/{version}")
        assert [answer.status_code for answer in (same, other, weak)] == [206, 200, 200]

    async def test_files_of_resumed_runs_are_found_ten_runs_back(
        self, client: httpx.AsyncClient, url: str, url_of: Callable[[Run], str], new_run: NewRun, run: Run
    ) -> None:
        entry = await add(client, url)
        chain = [run]
        for _ in range(10):
            chain.append(await new_run(state={"resume_from_run_id": str(chain[-1].id)}))
        answers = [await download(client, url_of(later), entry["storage_path"]) for later in chain]
        assert [answer.status_code for answer in answers] == [200] * 10 + [404]
        assert_no_artifact(answers[-1])

    async def test_unreadable_state_and_a_circle_end_the_chain(
        self, client: httpx.AsyncClient, url_of: Callable[[Run], str], new_run: NewRun
    ) -> None:
        own = new_id()
        for resumed in ("nonsense", 5, None, {"a": 1}, "\u0130", str(own)):
            identifier = own if resumed == str(own) else new_id()
            run = await new_run(id=identifier, state={"resume_from_run_id": resumed})
            with concerning(resumed):
                assert_no_artifact(await download(client, url_of(run), "nothing"))

    async def test_download_without_a_path_is_refused(self, client: httpx.AsyncClient, url: str) -> None:
        assert_invalid(await client.get(f"{url}/download"), "storage_path", "required")
        assert_invalid(await client.post(f"{url}/download", json={}), "storage_path", "required")

    async def test_file_with_a_deleted_object_is_not_found(
        self, client: httpx.AsyncClient, url: str, store: ObjectStore
    ) -> None:
        entry = await add(client, url)
        await store.delete([entry["storage_path"]])
        assert_no_artifact(await download(client, url, entry["storage_path"]))

    async def test_finalised_upload_is_downloaded_as_it_was_sent(
        self, client: httpx.AsyncClient, url: str
    ) -> None:
        content = bytes(range(256)) * 1000
        entry = await upload_and_finalize(client, url, content)
        assert (await download(client, url, entry["storage_path"])).content == content


class TestById:
    async def test_url_of_an_artifact_leads_to_the_file(self, client: httpx.AsyncClient, url: str) -> None:
        entry = await add(client, url, name="page.html", content="<b>", content_type="text/html")
        await client.post(f"{url}/dismiss", json={"artifact_ids": [entry["id"]]})
        for address in (entry["url"], f"{entry['url']}/"):
            response = await client.get(address)
            assert (response.status_code, response.content) == (302, b"")
            assert response.headers["cache-control"] == "no-store"
            async with socket_client() as storage:
                answer = await storage.get(response.headers["location"])
            assert answer.text == "<b>"
            assert answer.headers["content-disposition"] == 'attachment; filename="page.html"'

    async def test_only_files_of_the_run_itself_are_found(
        self, client: httpx.AsyncClient, url: str, url_of: Callable[[Run], str], new_run: NewRun, run: Run
    ) -> None:
        entry = await add(client, url)
        later = url_of(await new_run(state={"resume_from_run_id": str(run.id)}))
        for address in (
            f"{later}/{entry['id']}",
            f"{url}/unknown",
            f"{url}/{entry['id'].upper()}",
            f"{url}/%00",
        ):
            assert_not_found(await client.get(f"{address}/download"))

    async def test_urls_name_the_host_that_the_client_reaches(
        self, client: httpx.AsyncClient, url: str, task_url: str
    ) -> None:
        entry = await add(client, url)
        path = entry["url"].removeprefix(str(client.base_url))
        for address in (task_url, task_url.rpartition("/")[0]):
            answer = await client.get(address, headers={"Host": "tasks.example.com:81"})
            assert f'"url":"http://tasks.example.com:81{path}"' in answer.text


class TestUploader:
    async def test_user_who_uploads_is_named(
        self,
        application: FastAPI,
        session: AsyncSession,
        colleague: User,
        project: Project,
        new_task: NewTask,
    ) -> None:
        """A task without a creator is everyone's: one member stages the file, another starts the run."""
        task = await new_task(created_by=None)
        task_url = f"/api/projects/{project.id}/tasks/{task.id}"
        other = await make_user(session, projects=[project])
        keys = [await make_key(session, user=user) for user in (colleague, other)]
        uploading, running = (in_process_client(application, headers=bearer(key)) for key in keys)
        staged = await upload_and_finalize(uploading, f"{task_url}/staged_artifacts")
        assert set(staged) == {
            "id", "name", "type", "source", "size", "content_type", "storage_path", "uploaded_at"
        }  # fmt: skip
        body = {"pending_user_artifact_ids": [staged["id"]]}
        run = (await running.post(f"{task_url}/run", json=body)).json()["latest_run"]
        added = await upload_and_finalize(running, f"{task_url}/runs/{run['id']}/artifacts")
        run = (await running.get(f"{task_url}/runs/{run['id']}")).json()
        assert run["artifacts"][1] == added
        assert [(each["uploaded_by"], each["uploaded_by_user_id"]) for each in run["artifacts"]] == [
            ("user", colleague.id),
            ("user", other.id),
        ]
        assert staged.items() <= run["artifacts"][0].items()


class TestDismiss:
    async def test_dismissing_marks_files_until_it_is_taken_back(
        self, client: httpx.AsyncClient, url: str, clock: MovableClock
    ) -> None:
        first, second = await add(client, url), await add(client, url, name="b.txt")
        run_url = url.removesuffix("/artifacts")
        before = (await client.get(run_url)).json()
        clock.advance(minutes=1)
        wanted: JSON = {"artifact_ids": [second["id"], second["id"]]}
        answer = await client.post(f"{url}/dismiss", json=wanted)
        dismissed = (await client.get(run_url)).json()
        assert (answer.status_code, answer.json()) == (200, {"artifacts": dismissed["artifacts"]})
        at = dismissed["artifacts"][1]["dismissed_at"]
        assert before["updated_at"] < at <= dismissed["updated_at"]
        assert dismissed["artifacts"] == [first, second | {"dismissed_at": at}]

        clock.advance(minutes=1)
        await client.post(f"{url}/dismiss", json=wanted | {"dismissed": "yes"})
        assert (await client.get(run_url)).json() == dismissed
        both = {"artifact_ids": [first["id"], second["id"]]}
        rows = (await client.post(f"{url}/dismiss", json=both)).json()["artifacts"]
        assert rows[0]["dismissed_at"] > rows[1]["dismissed_at"] == at
        answer = await client.post(f"{url}/dismiss", json=both | {"dismissed": False})
        assert answer.json()["artifacts"] == [first, second]
        assert (await client.get(f"{url}/download", params=path_of(second))).text == "hello"

    async def test_file_that_is_finalised_again_stays_dismissed(
        self, client: httpx.AsyncClient, url: str
    ) -> None:
        prepared = await prepare(client, url)
        await upload(prepared)
        body = {"artifacts": [finalize_item(prepared)]}
        await client.post(f"{url}/finalize_upload", json=body)
        await client.post(f"{url}/dismiss", json={"artifact_ids": [prepared["id"]]})
        [again] = (await client.post(f"{url}/finalize_upload", json=body)).json()["artifacts"]
        assert again["dismissed_at"] is not None

    async def test_requests_at_once_lose_nothing_of_each_other(
        self, client: httpx.AsyncClient, url: str, clock: MovableClock
    ) -> None:
        """Each rewrites the whole manifest: the same file dismissed twice, another one, and files that are added."""
        same, other = await add(client, url, name="same"), await add(client, url, name="other")
        clock.advance(minutes=1)
        wanted = [[same["id"]], [other["id"]], [same["id"]], [same["id"], other["id"]]]
        names = ["one", "two", "three"]
        files = [{"name": name, "type": "output", "content": "x"} for name in names]
        answers = await asyncio.gather(
            *(client.post(f"{url}/dismiss", json={"artifact_ids": ids}) for ids in wanted),
            *(client.post(url, json={"artifacts": [file]}) for file in files),
        )
        assert {answer.status_code for answer in answers} == {200}
        manifest = (await client.get(url.removesuffix("/artifacts"))).json()["artifacts"]
        dismissed = {"dismissed_at": wire_time(clock)}
        assert manifest[:2] == [same | dismissed, other | dismissed]
        assert sorted(entry["name"] for entry in manifest[2:]) == sorted(names)
        assert {entry["dismissed_at"] for entry in manifest[2:]} == {None}

    async def test_unknown_id_changes_nothing(
        self, client: httpx.AsyncClient, url: str, url_of: Callable[[Run], str], new_run: NewRun
    ) -> None:
        own, other = await add(client, url), await add(client, url_of(await new_run()))
        for unknown in (other["id"], "nothing"):
            body = {"artifact_ids": [own["id"], unknown]}
            assert_no_artifact(await client.post(f"{url}/dismiss", json=body))
        assert (await client.get(url.removesuffix("/artifacts"))).json()["artifacts"] == [own]

    async def test_entry_without_an_id_is_in_nobodys_way(
        self, client: httpx.AsyncClient, session: AsyncSession, url: str
    ) -> None:
        """A worker's or client's damage: such a run is shown with what it has."""
        own = await add(client, url)
        damaged = func.jsonb_build_array(func.jsonb_build_object("name", "without id"))
        await session.execute(update(Run).values(artifacts=damaged.op("||")(Run.artifacts)))
        answer = await client.post(f"{url}/dismiss", json={"artifact_ids": [own["id"]]})
        assert [entry["dismissed_at"] is None for entry in answer.json()["artifacts"]] == [True, False]
        assert (await client.get(f"{url}/{own['id']}/download")).status_code == 302
        assert (await client.post(f"{url}/presign", json=path_of(own))).status_code == 200
        assert_not_found(await client.get(f"{url}/{new_id()}/download"))

    async def test_wrong_body_is_refused_before_the_run_is_looked_up(
        self, client: httpx.AsyncClient, task_url: str
    ) -> None:
        url = f"{task_url}/runs/{new_id()}/artifacts/dismiss"
        cases: list[tuple[JSON, str, str]] = [
            ({}, "artifact_ids", "required"),
            ({"artifact_ids": None}, "artifact_ids", "null"),
            ({"artifact_ids": "a"}, "artifact_ids", "not_a_list"),
            ({"artifact_ids": []}, "artifact_ids", "empty"),
            ({"artifact_ids": ["a"] * 101}, "artifact_ids", "max_length"),
            ({"artifact_ids": ["a", ["b"]]}, "artifact_ids__1", "invalid_input"),
            ({"artifact_ids": ["a"], "dismissed": "perhaps"}, "dismissed", "invalid_input"),
            ({"artifact_ids": ["a"], "dismissed": None}, "dismissed", "null"),
        ]
        for body, attr, code in cases:
            with concerning(repr(body)[:60]):
                assert_invalid(await client.post(url, json=body), attr, code)
        assert_not_found(await client.post(url, json={"artifact_ids": ["a"] * 100}))


async def test_run_of_another_task_is_not_found(client: httpx.AsyncClient, task: Task) -> None:
    for route in (route for route in GATED_TASK_ROUTES if "/runs/{run}/artifacts" in route.path):
        url = route.url(project=task.project_id, task=task.id, run=new_id())
        with concerning(route):
            assert_not_found(await client.request(route.method, url, json=route.body))
