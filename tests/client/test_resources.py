"""What the parts of both clients send: runs, files and webhooks."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from taskbeacon.client import Conflict, NotFound
from taskbeacon.client.core import safe_name
from tests.client.conftest import Calls, NewCalls
from tests.client.server import PROJECT, Reply, Server, answer, failure, serving
from tests.support.assertions import concerning

TASK_ID = "01890000-0000-7000-8000-00000000000a"
RUN_ID = "01890000-0000-7000-8000-00000000000b"
PATH = f"{PROJECT}/tasks/{TASK_ID}/runs/{RUN_ID}"
RUN: dict[str, Any] = {"id": RUN_ID, "task": TASK_ID, "status": "completed", "state": {}, "artifacts": []}
TASK = {"id": TASK_ID, "latest_run": RUN}


def file(name: str, type_: str = "output", number: int = 1) -> dict[str, Any]:
    return {"id": f"{number:032x}", "name": name, "type": type_, "storage_path": f"tasks/{number}"}


async def test_start_steer_and_cancel(server: Server, calls: Calls) -> None:
    server.on(f"POST {PROJECT}/tasks/{TASK_ID}/run", answer(TASK))
    server.on(f"POST {PATH}/command", answer({"jsonrpc": "2.0", "id": 1, "result": {"queued": True}}))
    server.on(f"POST {PATH}/cancel", answer(RUN, 202))
    assert await calls.call("tasks.run", TASK, mode="background", request_id="k-run") == TASK
    assert await calls.call("runs.send", RUN, "hello") == {"queued": True}
    assert await calls.call("runs.send", RUN, "hello", steer=True) == {"queued": True}
    assert await calls.call("runs.cancel", RUN) == RUN
    start, message, steered, cancel = server.received
    assert (start.json, start.headers["idempotency-key"]) == ({"mode": "background"}, "k-run")
    assert (message.json["method"], message.json["params"]) == ("user_message", {"content": "hello"})
    assert steered.json["params"] == {"content": "hello", "steer": True}
    keys = {sent.headers["idempotency-key"] for sent in (message, steered, cancel)}
    assert len(keys) == 3


async def test_a_refused_command(server: Server, calls: Calls) -> None:
    refused = {"code": -32602, "message": "No such question."}
    server.on(f"POST {PATH}/command", answer({"jsonrpc": "2.0", "id": 1, "error": refused}))
    with pytest.raises(Conflict, match="No such question") as raised:
        await calls.call("runs.send", RUN, "hello")
    assert (raised.value.code, raised.value.extra) == ("command_refused", refused)


async def test_tasks_are_changed_and_deleted(server: Server, calls: Calls) -> None:
    server.on(f"PATCH {PROJECT}/tasks/{TASK_ID}", answer(TASK))
    server.on(f"DELETE {PROJECT}/tasks/{TASK_ID}", Reply(204))
    server.on(f"GET {PROJECT}/tasks/{TASK_ID}/runs", answer({"next": None, "results": [RUN]}))
    assert await calls.call("tasks.update", TASK, archived=True) == TASK
    assert server.received[0].json == {"archived": True}
    assert await calls.call("tasks.delete", TASK) is None
    assert await calls.items("runs.list", TASK) == [RUN]


async def test_a_field_that_the_api_does_not_have_is_refused(server: Server, calls: Calls) -> None:
    for name, of in (("tasks.create", ()), ("tasks.update", (TASK,)), ("tasks.run", (TASK,)),
                     ("webhooks.create", ()), ("webhooks.update", ("e",))):  # fmt: skip
        with concerning(name), pytest.raises(TypeError, match="titel"):
            await calls.call(name, *of, titel="x")
    assert server.received == []


async def test_a_log_is_whole_after_a_cut(server: Server, calls: Calls) -> None:
    lines = [json.dumps({"type": "notification", "number": number}).encode() + b"\n" for number in range(4)]
    server.on(
        f"GET {PATH}/logs",
        Reply(pieces=(lines[0] + lines[1][:5], lines[1][5:]), cut=True),
        failure(503, "unavailable", Retry_After=0),
        Reply(pieces=(b"".join(lines[:3]), b'"text"')),
    )
    entries = await calls.items("runs.log", RUN)
    assert entries[:3] == [json.loads(line) for line in lines[:3]]
    assert entries[3:] == [{"type": "unknown", "data": "text"}]


async def test_the_pages_of_a_diff_are_joined(server: Server, calls: Calls) -> None:
    server.on(
        f"GET {PATH}/diff",
        answer({"base": "main", "head": "c0", "files": [{"path": "a"}], "next": "x"}),
        answer({"base": "main", "head": "c0", "files": [{"path": "b"}], "next": None}),
    )
    diff = await calls.call("runs.diff", RUN)
    assert diff == {"base": "main", "head": "c0", "files": [{"path": "a"}, {"path": "b"}], "next": None}
    assert server.received[1].query == {"cursor": "x"}


async def test_a_patch_comes_byte_by_byte(server: Server, calls: Calls) -> None:
    patches = [file("changes.patch", number=1), file("changes.patch", number=2)]
    others = [file("changes.patch", "user_attachment", 3)]
    server.on(f"GET {PATH}", answer(RUN | {"artifacts": patches + others}), answer(RUN))
    server.on(f"GET {PATH}/artifacts/download", Reply(body=b"\xff\r\n\0"))
    assert await calls.call("runs.patch", RUN) == b"\xff\r\n\0"
    assert server.received[-1].query == {"storage_path": "tasks/2"}
    assert await calls.call("runs.patch", RUN) == b""


async def test_an_artifact_is_written(server: Server, calls: Calls, tmp_path: Path) -> None:
    server.on(
        f"GET {PATH}", answer(RUN | {"artifacts": [file("../../a\x1b[31m b.txt"), file("c.txt", number=2)]})
    )
    server.on(f"GET {PATH}/artifacts/download", Reply(pieces=(b"one ", b"two")))
    written = await calls.call("artifacts.download", RUN, f"{1:032x}", tmp_path)
    assert (written.parent, written.name, written.read_bytes()) == (tmp_path, "_.._a_[31m b.txt", b"one two")
    target = tmp_path / "mine"
    assert await calls.call("artifacts.download", RUN, "c.txt", target) == target
    assert server.received[-1].query == {"storage_path": "tasks/2"}
    with pytest.raises(NotFound):
        await calls.call("artifacts.download", RUN, "d.txt", tmp_path)
    long = safe_name("é" * 300 + "\ud800.txt")
    assert (len(long.encode()) <= 255, long.endswith("é_.txt")) == (True, True)
    names = await asyncio.to_thread(os.listdir, tmp_path)
    assert {"_.._a_[31m b.txt", "mine"} <= set(names)
    assert not [name for name in names if name.endswith(".part")]


async def test_a_download_leaves_other_files_alone(server: Server, calls: Calls, tmp_path: Path) -> None:
    """Regression: it was written to `<name>.part` first, which may be a file of its own or of another download."""
    server.on(f"GET {PATH}", answer(RUN | {"artifacts": [file("a.txt")]}))
    server.on(f"GET {PATH}/artifacts/download", Reply(body=b"new"))
    own = tmp_path / "a.txt.part"
    own.write_bytes(b"mine")
    await calls.call("artifacts.download", RUN, "a.txt", tmp_path)
    assert sorted(await asyncio.to_thread(os.listdir, tmp_path)) == ["a.txt", "a.txt.part"]
    assert ((tmp_path / "a.txt").read_bytes(), own.read_bytes()) == (b"new", b"mine")


def test_a_name_that_is_cut_is_not_hidden() -> None:
    """Regression: the dots at its start were taken away before it was cut."""
    assert safe_name(f"a.{'b' * 199}") == "b" * 199


async def test_a_file_goes_to_the_store_without_the_key(server: Server, calls: Calls, tmp_path: Path) -> None:
    (source := tmp_path / "notes.md").write_bytes(b"# Notes")
    staged = f"POST {PROJECT}/tasks/{TASK_ID}/staged_artifacts"
    async with serving() as store:
        form = {"url": f"{store.url}/bucket", "fields": {"key": "k", "policy": "p"}}
        store.on("POST /bucket", Reply(204))
        prepared = {"id": "a1", "storage_path": "tasks/a1", "presigned_post": form}
        server.on(f"{staged}/prepare_upload", answer({"artifacts": [prepared]}))
        server.on(f"{staged}/finalize_upload", answer({"artifacts": [{"id": "a1"}]}))
        assert await calls.call("artifacts.upload", TASK, source) == {"id": "a1"}
        (sent,) = store.received
    assert "authorization" not in sent.headers
    assert sent.body.index(b'name="policy"') < sent.body.index(b'name="file"; filename="notes.md"')
    assert b"# Notes" in sent.body
    (wanted,) = server.received[0].json["artifacts"]
    assert (wanted["name"], wanted["size"], wanted["type"]) == ("notes.md", 7, "user_attachment")
    assert server.received[1].json["artifacts"][0]["storage_path"] == "tasks/a1"


async def test_no_file_goes_to_a_store_without_encryption(
    server: Server, calls: Calls, tmp_path: Path
) -> None:
    (source := tmp_path / "notes.md").write_bytes(b"# Notes")
    form = {"url": "http://store.example/bucket", "fields": {}}
    prepared = {"id": "a1", "storage_path": "tasks/a1", "presigned_post": form}
    path = f"POST {PROJECT}/tasks/{TASK_ID}/staged_artifacts/prepare_upload"
    server.on(path, answer({"artifacts": [prepared]}))
    with pytest.raises(ValueError, match="not encrypted"):
        await calls.call("artifacts.upload", TASK, source)


async def test_webhooks(server: Server, new_calls: NewCalls) -> None:
    calls = new_calls(server.url, project=7)
    hooks = "/api/projects/7/webhook_endpoints"
    endpoint = {"id": "e1"}
    server.on(f"GET {hooks}", answer({"next": None, "results": [endpoint]}))
    server.on(f"POST {hooks}", answer(endpoint | {"secret": "whsec_x"}, 201))
    server.on(f"GET {hooks}/e1", answer(endpoint))
    server.on(f"PATCH {hooks}/e1", answer(endpoint))
    server.on(f"DELETE {hooks}/e1", Reply(204))
    server.on(f"POST {hooks}/e1/ping", answer({"delivery_id": "d1"}, 202))
    server.on(f"GET {hooks}/e1/deliveries", answer({"next": None, "results": [{"id": "d1"}]}))
    server.on(f"POST {hooks}/e1/deliveries/d1/redeliver", answer({"id": "d1"}, 202))
    assert await calls.items("webhooks.list") == [endpoint]
    assert (await calls.call("webhooks.create", url="https://a.example"))["secret"] == "whsec_x"
    assert await calls.call("webhooks.get", endpoint) == endpoint
    assert await calls.call("webhooks.update", "e1", enabled=False) == endpoint
    assert await calls.call("webhooks.ping", "e1") == {"delivery_id": "d1"}
    assert await calls.items("webhooks.deliveries", endpoint) == [{"id": "d1"}]
    assert await calls.call("webhooks.redeliver", endpoint, {"id": "d1"}) == {"id": "d1"}
    assert await calls.call("webhooks.delete", endpoint) is None


async def test_the_inbox(server: Server, calls: Calls) -> None:
    server.on("GET /api/users/@me/inbox", answer({"next": None, "results": [{"id": "q1"}]}))
    assert await calls.items("questions.list", kind="form") == [{"id": "q1"}]
    assert server.received[0].query["kind"] == "form"
