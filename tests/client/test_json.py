"""What `--json` prints, of a real API: it fits the API's description, and the help names every field."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Task
from taskbeacon.cli import perform
from tests.support.assertions import concerning
from tests.support.callers import CallerKind, Cast
from tests.support.questions import make_question
from tests.support.web.serving import serving

Lines = Callable[..., Awaitable[list[Any]]]


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


async def test_json_fits_the_description_of_the_api(
    application: FastAPI, session: AsyncSession, task: Task, lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    components = application.openapi()["components"]

    def check(schema: str, found: Any) -> None:
        root = {"$ref": f"#/components/schemas/{schema}", "components": components}
        with concerning((schema, found)):
            Draft202012Validator(root).validate(found)

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
            assert list(row) == fields
            check(schema, {name: value for name, value in row.items() if name not in own})
        perform([*command, "--help"])
        shown = " ".join(capsys.readouterr().out.split())
        assert ", ".join(fields) in shown
    (answered,) = await lines("answer", str(question.id), "--json", "--option", "allow")
    check("AnsweredOut", answered)
    (status,) = await lines("status", "--json")
    assert status.keys() == {
        "url", "profile", "project", "user", "key_from", "client_version", "server_version", "agents"
    }  # fmt: skip
