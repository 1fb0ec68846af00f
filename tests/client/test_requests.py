"""Requests, retries, errors and bad answers, alike in both clients, against a server that answers by a script."""

import inspect
import logging
import pydoc
import socket
from collections.abc import AsyncGenerator, Coroutine, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_type

import pytest

from taskbeacon.client import (
    AccessDenied,
    ApiError,
    AsyncClient,
    BadRequest,
    Client,
    Conflict,
    ConnectionFailed,
    NotFound,
    RateLimited,
    ServerError,
    types,
)
from taskbeacon.client.shapes import checked
from tests.client.conftest import Calls, NewCalls
from tests.client.server import ID, PROJECT, RUN_PATH, Reply, Server, answer, failure, frame, stream
from tests.support.assertions import concerning

TASK = {"id": "01890000-0000-7000-8000-000000000001", "title": "Fix it", "a_new_key": 1}
CREATE = f"POST {PROJECT}/tasks"
LIST = f"GET {PROJECT}/tasks"
BUSY = failure(503, "unavailable", Retry_After=0)
# What names a task and a run, and no more.
A_TASK = {"id": ID}
A_RUN = {"id": ID, "task": ID}
# Each method with what it takes, but those of which nothing is read.
CALLS: dict[str, tuple[Any, ...]] = {
    "artifacts.download": (A_RUN, "a.txt", "."), "artifacts.upload": (A_TASK, __file__), "questions.answer": ("@latest",),
    "runs.cancel": (A_RUN,), "runs.diff": (A_RUN,), "runs.get": (A_RUN,), "runs.patch": (A_RUN,), "runs.send": (A_RUN, "hello"),
    "runs.wait": (A_RUN,), "tasks.create": (), "tasks.get": ("PLA-1",), "tasks.run": (A_TASK,), "tasks.update": (A_TASK,),
    "webhooks.create": (), "webhooks.get": ("e",), "webhooks.redeliver": ("e", "d"), "webhooks.update": ("e",),
}  # fmt: skip
LISTS: dict[str, tuple[Any, ...]] = {
    "events.list": (), "events.stream": (), "questions.list": (), "runs.follow": (A_RUN,), "runs.list": (A_TASK,),
    "tasks.list": (), "webhooks.deliveries": ("e",), "webhooks.list": (),
}  # fmt: skip
BAD = (
    Reply(200, b"<html>"), Reply(200, b"\xff"), Reply(200, b"[" * 100_000), Reply(200), answer(None), answer([]), answer(7),
    answer("text"), answer({}), answer([{}]), answer({"results": 7, "next": None, "next_after": ""}),
    answer({"results": [{"id": []}], "next": None, "next_after": ""}),
    answer({"id": 7, "task": 7, "run": 7, "status": [], "state": [], "artifacts": [7], "files": {}, "result": 7}),
)  # fmt: skip


async def test_help_shows_what_a_caller_gives_and_gets() -> None:
    """Regression: it showed the core's own function, which takes `self` and returns the steps."""
    with Client("http://127.0.0.1", "phx_a") as client:
        assert str(inspect.signature(client.request)).endswith("request_id: str | None = None) -> Any")
        assert str(inspect.signature(client.runs.patch)).endswith(") -> bytes")
        get, listing = client.tasks.get, client.tasks.list
        assert (get.__name__, get.__qualname__) == ("get", "Tasks.get")
        assert list(inspect.signature(get).parameters) == ["task"]
        assert str(inspect.signature(get).return_annotation) == "ForwardRef('types.Task')"
        assert "Generator[ForwardRef('types.Task'), None, None]" in str(inspect.signature(listing))
        assert pydoc.plain(pydoc.render_doc(listing)).splitlines()[2].startswith("list(*, limit: int | None")
    async with AsyncClient("http://127.0.0.1", "phx_a") as other:
        found = inspect.signature(other.tasks.get).return_annotation
        assert str(found) == "collections.abc.Coroutine[typing.Any, typing.Any, ForwardRef('types.Task')]"
        assert "AsyncGenerator[ForwardRef('types.Task'), None]" in str(inspect.signature(other.tasks.list))
    for each in (Client, AsyncClient, type(client.tasks)):
        assert pydoc.render_doc(each)
        assert dict(inspect.getmembers(each))


if TYPE_CHECKING:

    def _types(client: Client, other: AsyncClient) -> None:
        assert_type(client.tasks.get("1"), types.Task)
        assert_type(client.tasks.list(), Generator[types.Task, None, None])
        assert_type(client.request("GET", "tasks"), Any)
        _ = assert_type(other.tasks.get("1"), Coroutine[Any, Any, types.Task])
        assert_type(other.tasks.list(), AsyncGenerator[types.Task, None])


async def test_a_request_has_key_agent_and_json(server: Server, calls: Calls) -> None:
    server.on(CREATE, answer(TASK, 201))
    assert await calls.call("tasks.create", title="Fix it", request_id="once") == TASK
    (sent,) = server.received
    assert sent.json == {"title": "Fix it"}
    assert sent.headers["authorization"] == "Bearer phx_secret"
    assert sent.headers["idempotency-key"] == "once"
    assert sent.headers["user-agent"].startswith("taskbeacon-client/")


async def test_a_creation_is_repeated_with_its_key(server: Server, calls: Calls) -> None:
    server.on(CREATE, Reply(cut=True), BUSY, answer(TASK, 201))
    assert (await calls.call("tasks.create", title="Fix it"))["id"] == TASK["id"]
    keys = {sent.headers["idempotency-key"] for sent in server.received}
    assert (len(server.received), len(keys)) == (3, 1)
    await calls.call("tasks.create", title="Another")
    assert server.received[-1].headers["idempotency-key"] not in keys


async def test_what_may_be_done_twice_is_not_repeated(server: Server, calls: Calls) -> None:
    for method in ("POST", "PATCH"):
        server.on(f"{method} {PROJECT}/tasks", BUSY)
        with concerning(method), pytest.raises(ServerError) as raised:
            await calls.call("request", method, "tasks", json={})
        assert raised.value.retryable
        assert len(server.at(f"{method} {PROJECT}/tasks")) == 1
    server.on(f"POST {PROJECT}/other", BUSY, answer({"done": True}))
    assert await calls.call("request", "POST", "other", json={}, request_id="k") == {"done": True}


async def test_repetitions_have_an_end(server: Server, new_calls: NewCalls) -> None:
    server.on(LIST, failure(502, "bad_gateway"))
    with pytest.raises(ServerError) as raised:
        await new_calls(server.url, retries=1).call("request", "GET", "tasks")
    assert (raised.value.status, raised.value.code, len(server.received)) == (502, "bad_gateway", 2)


async def test_a_long_wait_is_told_at_once(server: Server, calls: Calls) -> None:
    server.on(LIST, failure(429, "throttled", Retry_After=3600))
    with pytest.raises(RateLimited) as raised:
        await calls.call("request", "GET", "tasks")
    assert (raised.value.retry_after, raised.value.retryable, len(server.received)) == (3600, True, 1)


async def test_a_date_to_retry_after(server: Server, calls: Calls) -> None:
    server.on(
        LIST, failure(429, "throttled", Retry_After="Thu, 01 Jan 2026 00:00:00 GMT"), answer({"results": []})
    )
    assert await calls.call("request", "GET", "tasks") == {"results": []}


async def test_no_server(new_calls: NewCalls) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ConnectionFailed, match=url) as raised:
            await new_calls(url, retries=0).call("request", "GET", "tasks")
    assert (raised.value.code, raised.value.retryable) == ("connection_failed", True)


async def test_errors_by_what_a_caller_can_do(server: Server, new_calls: NewCalls) -> None:
    calls = new_calls(server.url, retries=0)
    page = Reply(502, b"<html>", headers={"Content-Type": "text/html"})
    cases: list[tuple[Reply, type[ApiError], str]] = [
        (failure(400, "invalid_choice", attr="status"), BadRequest, "invalid_choice"),
        (failure(413, "request_too_large"), BadRequest, "request_too_large"),
        (failure(401, "not_authenticated"), AccessDenied, "not_authenticated"),
        (failure(403, "permission_denied"), AccessDenied, "permission_denied"),
        (failure(404, "not_found"), NotFound, "not_found"),
        (failure(409, "ambiguous_reference"), Conflict, "ambiguous_reference"),
        (failure(410, "question_closed"), Conflict, "question_closed"),
        (answer({"error": "Run is already completed"}, 400), Conflict, "conflict"),
        (answer({"error": "Artifact not found on this run"}, 404), NotFound, "not_found"),
        (answer({"detail": "Invalid resume_from_run_id"}, 400), BadRequest, "invalid_request"),
        (
            answer({"code": "usage_limit_exceeded", "error": "Over."}, 429),
            RateLimited,
            "usage_limit_exceeded",
        ),
        (failure(500, "error"), ServerError, "error"),
        (page, ServerError, "bad_answer"),
        (Reply(200, b"<html>"), ServerError, "bad_answer"),
        (Reply(302, headers={"Location": "http://127.0.0.1:1/"}), ServerError, "bad_answer"),
    ]
    for number, (reply, kind, code) in enumerate(cases):
        server.on(f"GET {PROJECT}/{number}", reply)
        with concerning((reply.status, code)):
            with pytest.raises(kind) as raised:
                await calls.call("request", "GET", str(number))
            assert type(raised.value) is kind
            assert (raised.value.code, raised.value.status) == (code, reply.status)
            assert len(server.at(f"GET {PROJECT}/{number}")) == 1


async def test_an_error_has_all_that_the_server_says(server: Server, calls: Calls) -> None:
    server.on(LIST, failure(409, "already_answered", attr="x", extra={"answer": 1}))
    with pytest.raises(Conflict, match="It is already_answered") as raised:
        await calls.call("request", "GET", "tasks")
    error = raised.value
    assert (error.attr, error.extra, error.request_id) == ("x", {"answer": 1}, "r-1")
    assert error.body["code"] == "already_answered"


async def test_pages_are_joined_and_no_row_comes_twice(server: Server, calls: Calls) -> None:
    server.on(
        LIST,
        answer({"next": "http://elsewhere/", "results": [{"id": "a"}, {"id": "b"}]}),
        # A new row has moved the others.
        answer({"next": None, "results": [{"id": "b"}, {"id": "c"}]}),
    )
    rows = await calls.items("tasks.list", archived=True, status=["queued"], search=None)
    assert [row["id"] for row in rows] == ["a", "b", "c"]
    common = {"archived": "true", "status": "queued", "limit": "100"}
    assert [sent.query for sent in server.received] == [common | {"offset": "0"}, common | {"offset": "2"}]


@pytest.mark.parametrize(
    ("name", "of", "path"),
    [
        ("tasks.list", (), f"{PROJECT}/tasks"),
        ("runs.list", (TASK,), f"{PROJECT}/tasks/{TASK['id']}/runs"),
        ("questions.list", (), "/api/users/@me/inbox"),
        ("events.list", (), f"{PROJECT}/events"),
        ("webhooks.list", (), f"{PROJECT}/webhook_endpoints"),
        ("webhooks.deliveries", ("e",), f"{PROJECT}/webhook_endpoints/e/deliveries"),
    ],
)
async def test_a_list_has_as_many_rows_as_are_asked_for(
    server: Server, calls: Calls, name: str, of: tuple[Any, ...], path: str
) -> None:
    """The `limit` of events was the size of their pages, that of questions did nothing, and others had none."""
    pages = [[{"id": f"{page}-{number}"} for number in range(2)] for page in range(3)]
    replies = [answer({"next": "more", "next_after": "p", "results": rows}) for rows in (*pages, [])]
    server.on(f"GET {path}", *replies)
    assert [row["id"] for row in await calls.items(name, *of, limit=3)] == ["0-0", "0-1", "1-0"]
    assert await calls.items(name, *of, limit=0) == []
    assert [sent.query["limit"] for sent in server.received] == ["3", "1"]


async def test_paths(server: Server, new_calls: NewCalls) -> None:
    server.on("GET /api/users/@me", answer({"id": 1}))
    server.on("DELETE /api/projects/7/tasks/x", Reply(204))
    calls = new_calls(server.url + "/", project=7)
    assert await calls.call("request", "GET", "/api/users/@me") == {"id": 1}
    assert await calls.call("request", "delete", "/tasks/x") is None
    # A query may hold a URL.
    server.on("GET /api/projects/7/tasks/search", answer([]))
    assert await calls.call("request", "GET", "tasks/search?q=https://github.com/acme/shop/pull/1") == []
    assert server.received[-1].query == {"q": "https://github.com/acme/shop/pull/1"}
    for path in ("https://elsewhere/", "//elsewhere/", "HTTP://elsewhere/"):
        with pytest.raises(ValueError, match="a path is expected"):
            await calls.call("request", "GET", path)


async def test_the_key_is_in_no_log(server: Server, calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.on(CREATE, answer(TASK, 201))
    await calls.call("tasks.create")
    assert f"POST {server.url}{PROJECT}/tasks 201" in caplog.text
    assert "phx_secret" not in caplog.text


@pytest.mark.parametrize("name", CALLS | LISTS)
async def test_an_answer_of_another_shape_is_a_bad_one(server: Server, calls: Calls, name: str) -> None:
    for server.always in BAD:
        with concerning(server.always), pytest.raises(ServerError) as raised:
            await (calls.call(name, *CALLS[name]) if name in CALLS else calls.items(name, *LISTS[name]))
        assert raised.value.code == "bad_answer"


async def test_what_a_caller_gives_is_no_bad_answer(server: Server, calls: Calls, tmp_path: Path) -> None:
    """Also where the server has answered before: `object()`, which is no JSON, was taken for a bad answer."""
    server.on(f"GET {PROJECT}/resolve", answer({"task": ID, "run": ID}))
    for name, of, fields in (
        ("tasks.create", (), {"title": object()}),
        ("tasks.update", ("PLA-1",), {"title": object()}),
        ("runs.send", ("PLA-1", object()), {}),
    ):
        with concerning(name), pytest.raises(TypeError, match="JSON serializable"):
            await calls.call(name, *of, **fields)
    with pytest.raises(KeyError, match="id"):
        await calls.call("tasks.get", {"title": "x"})
    with pytest.raises(FileNotFoundError):
        await calls.call("artifacts.upload", "PLA-1", tmp_path / "none")


async def test_what_is_not_read_is_passed_on(server: Server, calls: Calls) -> None:
    task = {"id": ID, "latest_run": 7, "title": None, "a_new_key": [{}]}
    server.on(f"GET {PROJECT}/tasks/{ID}", answer(task))
    assert await calls.call("tasks.get", ID) == task


async def test_an_event_of_any_kind_is_passed_on(server: Server, calls: Calls) -> None:
    """A status that is no text ended the stream, and so did an id that no header can have, at the next connection."""
    odd = frame({"type": "task_run_state", "status": [{}]}, id_="é")
    server.on(f"GET {RUN_PATH}/stream", stream(odd), stream(frame({"type": "x"}, id_="1-2")))
    going = A_RUN | {"status": "in_progress", "state": {}}
    server.on(
        f"GET {RUN_PATH}",
        answer(going),
        answer(going),
        answer(going),
        answer(going | {"status": "completed"}),
    )
    *items, end = await calls.items("runs.follow", A_RUN)
    assert ([item.data.get("status") for item in items], end.status) == ([[{}], None], "completed")
    assert "last-event-id" not in server.at(f"GET {RUN_PATH}/stream")[1].headers


@pytest.mark.parametrize("url", ["nonsense", "https://", "https://[::1"])
async def test_a_place_for_a_file_that_is_none(server: Server, calls: Calls, url: str) -> None:
    prepared = {"id": "a", "storage_path": "p", "presigned_post": {"url": url, "fields": {}}}
    path = f"POST {PROJECT}/tasks/{ID}/staged_artifacts/prepare_upload"
    server.on(path, answer({"artifacts": [prepared]}))
    with pytest.raises(ServerError, match="names no place for the file") as raised:
        await calls.call("artifacts.upload", A_TASK, __file__)
    assert raised.value.code == "bad_answer"


async def test_fields_for_a_store_are_no_texts(server: Server, calls: Calls) -> None:
    """They ended an upload by a TypeError of httpx; the store says what is wrong with them."""
    form = {"url": f"{server.url}/bucket", "fields": {"key": {"a": 1}, "policy": None}}
    prepared = {"id": "a", "storage_path": "p", "presigned_post": form}
    path = f"POST {PROJECT}/tasks/{ID}/staged_artifacts"
    server.on(f"{path}/prepare_upload", answer({"artifacts": [prepared]}))
    server.on(f"{path}/finalize_upload", answer({"artifacts": [A_TASK]}))
    server.on("POST /bucket", Reply(204))
    assert await calls.call("artifacts.upload", A_TASK, __file__) == A_TASK


def test_a_bad_answer_names_what_it_lacks() -> None:
    shape = {"id": str, "rows": [{"size": int, "of": (dict, None)}], "first": {0: str}}
    good = {"id": "a", "rows": [{"size": 1, "of": None}, {"size": 2}], "first": ["b"], "more": 1}
    assert checked(good, shape) is good
    for change, place in (
        ({"id": 1}, "answer.id"),
        ({"rows": {}}, "answer.rows"),
        ({"rows": [{"size": 1}, {"size": "2"}]}, "answer.rows.1.size"),
        ({"rows": [{"size": 1, "of": []}]}, "answer.rows.0.of"),
        ({"first": []}, "answer.first"),
        ({"first": [1]}, "answer.first.0"),
    ):
        with concerning(place), pytest.raises(ServerError) as raised:
            checked(good | change, shape)
        assert str(raised.value) == f"The server's answer is not what the API describes ({place})."
