"""Requests, retries and errors, alike in both clients, against a server that answers by a script."""

import logging
import socket

import pytest

from taskbeacon.client import (
    AccessDenied,
    ApiError,
    BadRequest,
    Conflict,
    ConnectionFailed,
    NotFound,
    RateLimited,
    ServerError,
)
from tests.client.conftest import Calls, NewCalls
from tests.client.server import PROJECT, Reply, Server, answer, failure
from tests.support.assertions import concerning

TASK = {"id": "01890000-0000-7000-8000-000000000001", "title": "Fix it", "a_new_key": 1}
CREATE = f"POST {PROJECT}/tasks"
LIST = f"GET {PROJECT}/tasks"
BUSY = failure(503, "unavailable", Retry_After=0)


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


async def test_a_list_has_as_many_rows_as_are_asked_for(server: Server, calls: Calls) -> None:
    server.on(LIST, answer({"next": "more", "results": [{"id": "a"}, {"id": "b"}]}))
    assert [row["id"] for row in await calls.items("tasks.list", limit=2)] == ["a", "b"]
    assert await calls.items("tasks.list", limit=0) == []
    assert [sent.query["limit"] for sent in server.received] == ["2"]


async def test_paths(server: Server, new_calls: NewCalls) -> None:
    server.on("GET /api/users/@me", answer({"id": 1}))
    server.on("DELETE /api/projects/7/tasks/x", Reply(204))
    calls = new_calls(server.url + "/", project=7)
    assert await calls.call("request", "GET", "/api/users/@me") == {"id": 1}
    assert await calls.call("request", "delete", "/tasks/x") is None
    for path in ("https://elsewhere/", "//elsewhere/"):
        with pytest.raises(ValueError, match="a path is expected"):
            await calls.call("request", "GET", path)


async def test_the_key_is_in_no_log(server: Server, calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.on(CREATE, answer(TASK, 201))
    await calls.call("tasks.create")
    assert f"POST {server.url}{PROJECT}/tasks 201" in caplog.text
    assert "phx_secret" not in caplog.text
