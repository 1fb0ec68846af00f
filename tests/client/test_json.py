"""What `--json` prints, of a real API: it fits the API's description, and the help names every field."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.live_events.run_event_stream import stream_keys
from app.clients.redis import RedisClient
from app.clock import utcnow
from app.enums import RunStatus
from app.models import Task
from taskbeacon.cli import perform
from tests.client.command import LINES, Taskbeacon, commands
from tests.client.server import Examples, Server, answer, serve_examples
from tests.client.terminal import Print
from tests.devstack.launchers import git
from tests.support.assertions import concerning
from tests.support.callers import CallerKind, Cast
from tests.support.factories import make_run
from tests.support.questions import make_live_run, make_question
from tests.support.verification import make_verified_run
from tests.support.waiting import eventually
from tests.support.web.serving import serving

JSON = dict[str, Any]
Lines = Callable[..., Awaitable[list[Any]]]
Check = Callable[[str, Any], None]
# All that read answers in a way of their own.
SPOILED = [
    ["answer", "018900", "--option", "1"], ["api", "GET", "tasks", "--paginate"], ["events", "listen", "--types", "text"],
    ["inbox"], ["login"], ["run", "artifacts", "1", "--download", "-"], ["run", "artifacts", "1"], ["run", "cancel", "1"],
    ["run", "diff", "1", "--stat"], ["run", "diff", "1"], ["run", "follow", "1", "--require", "verified,ci"],
    ["run", "follow", "1", "--json"], ["run", "send", "1", "hello"], ["run", "start", "1", "--agent", "claude"],
    ["run", "verify", "1"], ["run", "view", "1"], ["status"], ["status", "--json"], ["task", "archive", "1"],
    ["task", "create", "Fix it", "--run"], ["task", "list", "--mine"], ["task", "list", "--json", "url,id"], ["task", "view", "1"],
]  # fmt: skip


@pytest_asyncio.fixture
async def lines(
    application: FastAPI, cast: Cast, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Lines, None]:
    """Run a command; return the lines of JSON that it prints."""
    key = cast.callers[CallerKind.OWNER].headers["Authorization"].removeprefix("Bearer ")
    async with serving(application) as url:
        monkeypatch.setenv("TASKBEACON_URL", url)
        monkeypatch.setenv("TASKBEACON_TOKEN", key)
        monkeypatch.setenv("TASKBEACON_PROJECT", str(cast.project.id))

        async def run(*arguments: str, code: int = 0) -> list[Any]:
            capsys.readouterr()
            ended = await asyncio.to_thread(perform, arguments)
            out, err = capsys.readouterr()
            assert ended == code, err
            assert out.isascii()
            return [json.loads(line) for line in out.splitlines()]

        yield run


@pytest.fixture
def check(application: FastAPI) -> Check:
    """Hold what was printed to a schema of the API's description."""
    components = application.openapi()["components"]

    def check(schema: str, found: Any) -> None:
        root = {"$ref": f"#/components/schemas/{schema}", "components": components}
        with concerning((schema, found)):
            Draft202012Validator(root).validate(found)

    return check


async def test_json_fits_the_description_of_the_api(
    session: AsyncSession, task: Task, lines: Lines, check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    (created,) = await lines("task", "create", "Fix it", "--json")
    check("TaskWithRunOut", created["task"])
    id_ = created["task"]["id"]
    (started,) = await lines("run", "start", id_, "--json")
    check("RunOut", started["run"])
    (shown,) = await lines("task", "view", id_, "--json")
    assert shown.pop("url") == created["url"]
    check("TaskOut", shown)
    check("RunOut", (await lines("run", "view", id_, "--json"))[0])
    check("DiffOut", (await lines("run", "diff", id_, "--json"))[0])
    assert await lines("run", "log", id_, "--json") == []
    (cancelled,) = await lines("run", "cancel", id_, "--json")
    assert cancelled == {"run_id": started["run"]["id"], "status": "cancelled"}
    run, *_, end = await lines("run", "log", id_, "-f", "--json", code=9)
    check("RunOut", run["run"])
    assert (end["reason"], end["status"], end["exit_code"]) == ("terminal", "cancelled", 9)
    (archived,) = await lines("task", "archive", id_, "--json")
    assert archived.pop("url") == created["url"]
    check("TaskOut", archived)

    question = await make_question(session, task=task)
    await session.commit()
    for command, schema, own in (
        (("task", "list"), "TaskOut", {"status", "verdict", "run_id", "url"}),
        (("inbox",), "QuestionOut", set[str]()),
    ):
        capsys.readouterr()
        assert perform([*command, "--json"]) == 0
        fields = capsys.readouterr().out.split()
        (rows,) = await lines(*command, "--json", ",".join(fields))
        assert rows
        for row in rows:
            check(schema, {name: value for name, value in row.items() if name not in own})
    (answered,) = await lines("answer", str(question.id), "--json", "--option", "allow")
    check("AnsweredOut", answered)
    (found,) = await lines("api", "GET", f"tasks/{id_}")
    check("TaskOut", found)


async def test_json_of_what_a_run_brings_fits_too(
    session: AsyncSession,
    client: httpx.AsyncClient,
    tasks_url: str,
    task: Task,
    lines: Lines,
    check: Check,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = await make_verified_run(session, task=task, verdict="refuted")
    await session.commit()
    url = f"{tasks_url}/{task.id}/runs/{run.id}"
    patch = (
        "diff --git a/a.txt b/a.txt\nnew file mode 100644\n--- /dev/null\n+++ b/a.txt\n@@ -0,0 +1 @@\n+one\n"
    )
    artifact = {"name": "changes.patch", "type": "output", "content": patch}
    assert (await client.post(f"{url}/artifacts", json={"artifacts": [artifact]})).status_code == 200
    id_ = str(run.id)

    capsys.readouterr()
    assert perform(["run", "artifacts", "--json"]) == 0
    fields = capsys.readouterr().out.split()
    ((row,),) = await lines("run", "artifacts", id_, "--json", ",".join(fields))
    check("RunArtifactOut", row)

    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init", "--quiet")
    (applied,) = await lines("run", "apply", id_, "--json")
    assert applied == {"applied": True, "run_id": id_, "files": [{"status": "A", "path": "a.txt"}]}
    (again,) = await lines("run", "verify", id_, "--json")
    check("VerifyOut", again)

    held = {"lease_owner": "worker", "lease_expires_at": utcnow() + timedelta(hours=1)}
    asked = await make_run(session, task=task, status=RunStatus.IN_PROGRESS, **held)
    await session.commit()
    assert await lines("run", "send", str(asked.id), "hello", "--json") == [
        {"run_id": str(asked.id), "queued": True}
    ]


def follow_schemas(application: FastAPI) -> JSON:
    """What each line of a follow has, by its type: fields of runs as the API describes them, all others here."""
    components = application.openapi()["components"]
    run = components["schemas"]["RunOut"]["properties"]
    text, text_or_null = {"type": "string"}, {"type": ["string", "null"]}
    event_id = {"type": "string", "pattern": r"^\d+-\d+$"}
    no_event_yet = {"anyOf": [event_id, {"type": "null"}]}
    method, params = {"type": "string", "pattern": "^(session/|_posthog/|_taskbeacon/)"}, {"type": "object"}
    state = ("status", "stage", "output", "branch", "error_message", "updated_at", "completed_at")
    fields: dict[str, JSON] = {
        "run": {"run": {"$ref": "#/components/schemas/RunOut"}},
        "notification": {
            "timestamp": run["updated_at"], "event_id": event_id, "notification": {
                "type": "object", "required": ["jsonrpc", "method", "params"], "additionalProperties": False,
                "properties": {"jsonrpc": {"const": "2.0"}, "method": method, "params": params},
            },
        },
        "task_run_state": {
            **{name: run[name] for name in state}, "run_id": run["id"], "task_id": run["task"], "event_id": event_id,
        },
        "gap": {
            "lost": {"type": ["integer", "null"]}, "first_available_id": text_or_null, "reload": text, "event_id": no_event_yet,
        },
        "waiting": {
            "waiting_for": {"type": "object", "required": ["kind"]}, "event_id": no_event_yet,
        },
        "end": {
            "reason": {"enum": ["terminal", "waiting", "timeout", "interrupted", "error"]}, "status": run["status"],
            "verdict": text_or_null, "exit_code": {"type": "integer"}, "event_id": no_event_yet, "resume": text_or_null,
        },
    }  # fmt: skip
    return {
        type_: {
            "properties": {"type": {"const": type_}, **of}, "required": ["type", *of], "additionalProperties": False,
            "components": components,
        }
        for type_, of in fields.items()
    }  # fmt: skip


def described(application: FastAPI) -> dict[str, JSON]:
    """What a line of each command with `--json` is like: as the API describes it, or as here where it is our own."""

    def api(name: str, **more: JSON) -> JSON:
        return {
            "allOf": [{"$ref": f"#/components/schemas/{name}"}],
            "required": list(more),
            "properties": more,
        }

    def own(**properties: JSON) -> JSON:
        return {"properties": properties, "required": list(properties), "additionalProperties": False}

    def rows(name: str) -> JSON:
        fields = application.openapi()["components"]["schemas"][name]["properties"]
        return {"type": "array", "minItems": 1, "items": {"properties": fields}}

    text, flag, number = {"type": "string"}, {"type": "boolean"}, {"type": "integer"}
    task = {"type": {"const": "task"}, "task": api("TaskWithRunOut"), "url": text, "request_id": text}
    lines_of_run = list(follow_schemas(application).values())
    person = own(id=number, email=text)
    return {
        "answer": api("AnsweredOut", repeated=flag),
        "events listen": {"anyOf": [api("EventOut"), own(type={"const": "listening"}, topics=text)]},
        "inbox": rows("QuestionOut"),
        "run apply": own(applied=flag, run_id=text, files={"type": "array", "items": own(status=text, path=text)}),
        "run artifacts": rows("RunArtifactOut"),
        "run cancel": own(run_id=text, status=text),
        "run diff": api("DiffOut"),
        "run follow": {"anyOf": lines_of_run},
        "run log": own(type={"const": "notification"}, timestamp=text, notification={"type": "object"}),
        "run send": own(run_id=text, queued=flag),
        "run start": own(type={"const": "run"}, run=api("RunOut"), replayed=flag),
        "run verify": api("VerifyOut"),
        "run view": api("RunOut"),
        "status": own(
            url=text, profile=text, project=own(id=number, name={"type": ["string", "null"]}), user=person, key_from=text,
            client_version=text, server_version=text, agents={"type": "array", "items": text},
        ),
        "task archive": api("TaskOut", url=text),
        "task create": {"anyOf": [own(**task, replayed=flag), *lines_of_run]},
        "task list": rows("TaskOut"),
        "task view": api("TaskOut", url=text),
        "version": own(client_version=text, python=text),
    }  # fmt: skip


def test_json_of_every_command_fits(
    beacon: Server,
    taskbeacon: Taskbeacon,
    shared_application: FastAPI,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of all that the tree of commands has with `--json`; lists with all of their fields, which the help names."""
    serve_examples(beacon, Examples(shared_application.openapi()))
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init", "--quiet")
    components = shared_application.openapi()["components"]
    found = {
        name: parameter.name == "fields"
        for name, command in commands().items()
        for parameter in command.params
        if "--json" in parameter.opts
    }
    schemas = described(shared_application)
    assert found.keys() == schemas.keys()
    for name, has_fields in found.items():
        with concerning(name):
            words, asked, fields = name.split(), ["--json"], list[str]()
            if has_fields:
                fields = taskbeacon(*words, "--json").out.split()
                assert ", ".join(fields) in " ".join(taskbeacon(*words, "--help").out.split())
                asked.append(",".join(fields))
            result = taskbeacon(*words, *LINES[name], *asked)
            assert result.code == (4 if name == "events listen" else 0), result.err
            assert result.out.isascii()
            assert result.lines
            for line in result.lines:
                assert Draft202012Validator(schemas[name] | {"components": components}).is_valid(line), line
                assert not has_fields or [list(row) for row in line] == [fields] * len(line)


async def test_each_line_of_a_follow_fits(
    application: FastAPI,
    session: AsyncSession,
    client: httpx.AsyncClient,
    tasks_url: str,
    task: Task,
    lines: Lines,
    redis: RedisClient,
) -> None:
    schemas = follow_schemas(application)

    async def types(*command: str, code: int) -> list[str]:
        printed = await lines("run", *command, "--json", code=code)
        for line in printed:
            with concerning(line):
                Draft202012Validator(schemas[line["type"]]).validate(line)
        assert printed[-1]["exit_code"] == code
        return [line["type"] for line in printed]

    run = (await client.post(f"{tasks_url}/{task.id}/run", json={})).json()["latest_run"]
    url = f"{tasks_url}/{task.id}/runs/{run['id']}"
    updates = (
        {"sessionUpdate": "agent_message", "content": {"type": "text", "text": "Done"}},
        {"sessionUpdate": "tool_call", "toolCallId": "1", "title": "ls"},
    )
    notifications = [
        {"jsonrpc": "2.0", "method": "session/update", "params": {"update": each}} for each in updates
    ]
    entries = [
        {"type": "notification", "timestamp": utcnow().isoformat(), "notification": each}
        for each in notifications
    ]
    assert (await client.post(f"{url}/append_log", json={"entries": entries})).is_success
    ended = {"status": "failed", "error_message": "It is lost.", "output": {"summary": "Half"}}
    assert (await client.patch(url, json=ended)).is_success
    said = await types("follow", run["id"], code=1)
    assert set(said) == {"run", "notification", "task_run_state", "end"}
    assert said.count("notification") == 2
    await redis.xtrim(stream_keys(UUID(run["id"]))[0], maxlen=1, approximate=False)
    assert "gap" in await types("follow", run["id"], code=1)

    state = {"waiting_for": {"kind": "message", "since": utcnow().isoformat()}}
    waits = await make_live_run(session, task=task, state=state)
    await session.commit()
    assert await types("log", str(waits.id), "--follow", code=6) == ["run", "waiting", "end"]
    assert await types("follow", str(waits.id), "--until", "waiting", code=6) == ["run", "waiting", "end"]


async def test_json_of_what_happens_fits_too(
    session: AsyncSession, task: Task, lines: Lines, printing: Print, check: Check
) -> None:
    first = await make_question(session, task=task)
    await session.commit()
    url = os.environ["TASKBEACON_URL"]
    listening = await printing(url, "events", "listen", "--json")
    await eventually(lambda: listening.lines)
    assert listening.lines == [{"type": "listening", "topics": "tasks"}]
    watching = await printing(url, "inbox", "--watch")
    await eventually(lambda: watching.lines)
    shown = watching.lines[0]
    assert (shown.pop("type"), shown["id"]) == ("question", str(first.id))
    check("QuestionOut", shown)

    (created,) = await lines("task", "create", "Fix it", "--json")
    await lines("answer", str(first.id), "--json", "--option", "allow")
    await eventually(lambda: len(listening.lines) > 1 and len(watching.lines) > 1)
    event, *_ = listening.lines[1:]
    assert (event["type"], event["data"]["task_id"]) == ("task.created", created["task"]["id"])
    for row in (*listening.lines[1:], *watching.lines[1:]):
        check("EventOut", row)


def places(content: Any, *place: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield where a JSON has something, and what."""
    inner = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content)
        if isinstance(content, list)
        else ()
    )
    for key, value in inner:
        yield (*place, key), value
        yield from places(value, *place, key)


def spoiled(content: Any, place: Sequence[Any], instead: Any) -> Any:
    """Return JSON with something else at a place, or nothing for an Ellipsis."""
    content = at = deepcopy(content)
    *way, last = place
    for key in way:
        at = at[key]
    if instead is ...:
        del at[last]
    else:
        at[last] = instead
    return content


@pytest.mark.usefixtures("_pauses_pass", "_in_a_checkout")
@pytest.mark.parametrize("line", SPOILED, ids=" ".join)
def test_one_spoiled_place_of_an_answer_is_no_defect(
    beacon: Server, taskbeacon: Taskbeacon, shared_application: FastAPI, line: list[str]
) -> None:
    """It is told, or not read: whatever one answer of the server lacks, or has of another kind.

    What the command does not miss, and does not see changed, it does not read; nor does it read what that has inside.
    """
    examples = Examples(shared_application.openapi())
    serve_examples(beacon, examples)
    good = taskbeacon(*line)
    asked = {f"{sent.method} {sent.path}": sent for sent in beacon.received}
    for request, sent in asked.items():
        reply = examples.answer(sent)
        content = json.loads(reply.body or b"{}")
        unread = set[tuple[Any, ...]]()
        for place, value in places(content):
            # The last is a list without an end.
            if any(place[:length] in unread for length in range(len(place))) or place[-1] == "next":
                continue
            changes = ["text" if isinstance(value, dict | list) else [[]], None]
            is_read = False
            for instead in [..., *changes] if isinstance(place[-1], str) else changes:
                if instead is None and not is_read:
                    unread.add(place)
                    break
                beacon.reset()
                serve_examples(beacon, examples)
                beacon.reset(request, answer(spoiled(content, place, instead), reply.status))
                with concerning((request, place, instead)):
                    result = taskbeacon(*line)
                    assert result.code in {good.code, 3, 8} or instead is None
                    assert result.code != 8 or "describes (answer." in result.err
                is_read = is_read or result != good
