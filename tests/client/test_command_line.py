"""The command `taskbeacon`, against a server that answers by a script: what it prints, and how it ends."""

import json
import stat
import subprocess
import sys
from itertools import product
from typing import Any

import pytest

from taskbeacon.cli.person import _choice, _form
from taskbeacon.cli.tasks import _FIELDS
from taskbeacon.client import types, verify_webhook
from taskbeacon.client.settings import config_file, read_config
from tests.client.command import LINES, Taskbeacon, commands, in_a_thread, spawn
from tests.client.server import PROJECT, Reply, Server, answer, failure, frame, stream
from tests.support.assertions import concerning

TASK_ID = "01890000-0000-7000-8000-00000000000a"
RUN_ID = "01890000-0000-7000-8000-00000000000b"
PATH = f"{PROJECT}/tasks/{TASK_ID}/runs/{RUN_ID}"
RUN: dict[str, Any] = {
    "id": RUN_ID, "task": TASK_ID, "state": {}, "updated_at": "2026-01-01T10:00:00Z", "status": "in_progress",
    "artifacts": [], "output": None, "error_message": None, "verification": None, "branch": None, "created_at": "x",
}  # fmt: skip
DONE = RUN | {"status": "completed"}
WAITS = RUN | {"state": {"waiting_for": {"kind": "message", "since": "now"}}}
TASK = {"id": TASK_ID, "slug": "PLA-1", "title": "Fix it", "description": "All", "latest_run": RUN, "repository": None,
        "created_at": "x"}  # fmt: skip
ENDED = frame({"type": "task_run_state", "status": "completed"}, id_="1-9")
ENTRY = frame({"type": "notification", "notification": {"method": "_taskbeacon/progress",
              "params": {"message": "Cloning\x1b[31m \u202e"}}}, id_="1-1")  # fmt: skip
HOSTILE = "\x1b[2J\x07\u202e\u200b\x9b title"
REASONS = [{"code": "new_failures", "check": "tests", "detail": "shop > price no \x1b[31m\n"},
           {"code": "checks_file_invalid", "check": None, "detail": ""}]  # fmt: skip


def follows(beacon: Server, run: dict[str, Any], *frames: bytes) -> None:
    beacon.on(f"GET {PATH}/stream", stream(*frames))
    beacon.on(f"GET {PATH}", answer(RUN), answer(RUN), answer(run))
    beacon.on(f"GET {PROJECT}/resolve", answer({"task": TASK_ID, "run": RUN_ID}))


def spelled(name: str, *, as_json: bool) -> list[str]:
    """Return the line of a command, with `--json` as it takes that."""
    takes = {parameter.name: parameter for parameter in commands()[name].params if "--json" in parameter.opts}
    more = ["--json", *(["id"] if "fields" in takes else [])]
    return [*name.split(), *LINES[name], *(more if as_json and takes else [])]


ASKING = sorted(LINES.keys() - {"completion", "help", "logout", "version"})
WRONG_SHAPES: tuple[Any, ...] = ({}, [], None, "text", {"results": [{}]}, {"results": [None]}, [{}])
REFUSALS = [
    (failure(400, "invalid_choice"), 2),
    (answer({"error": "Run is already completed"}, 400), 7),
    (failure(401, "not_authenticated"), 4),
    (failure(403, "permission_denied"), 4),
    (failure(404, "not_found"), 5),
    (failure(409, "ambiguous_reference"), 2),
    (failure(409, "already_answered"), 7),
    (failure(410, "gone"), 7),
    (failure(412, "changed"), 7),
    (failure(413, "too_large"), 2),
    (failure(415, "unsupported_media_type"), 2),
    (failure(422, "invalid"), 2),
    (answer({"detail": [{"loc": ["body"], "msg": "It is no text."}]}, 422), 2),
    (failure(429, "throttled", Retry_After=3600), 8),
    (failure(500, "error"), 8),
    (failure(503, "unavailable"), 8),
    (Reply(302, headers={"Location": "/"}), 8),
    (Reply(200, b"<html>"), 8),
    (Reply(cut=True), 8),
]


@pytest.mark.usefixtures("_pauses_pass", "_in_a_checkout")
def test_errors_end_with_their_code(beacon: Server, taskbeacon: Taskbeacon) -> None:
    """Of every command that asks the server."""
    replies = [*REFUSALS, *((answer(shape), 8) for shape in WRONG_SHAPES)]
    for (beacon.always, code), name, as_json in product(replies, ASKING, (False, True)):
        assert beacon.always is not None
        if name == "api" and beacon.always.status == 200 and not beacon.always.cut:
            continue  # prints what was answered
        line = spelled(name, as_json=as_json)
        with concerning((beacon.always, line)):
            result = taskbeacon(*line)
            assert (result.code, result.out) == (code, "")
            if "--json" in line:
                assert result.error["exit_code"] == code
                assert (
                    result.error["code"] in {"bad_answer", "connection_failed"} or beacon.always.status != 200
                )
            else:
                assert result.err.splitlines()[-1].startswith("taskbeacon: ")


@pytest.mark.usefixtures("_pauses_pass", "_in_a_checkout")
def test_a_wrong_shape_is_no_failed_run(beacon: Server, taskbeacon: Taskbeacon) -> None:
    """Behind good answers too: what a command reads is there, or the answer is bad."""
    beacon.on(f"GET {PROJECT}/resolve", answer({"task": TASK_ID, "run": RUN_ID}))
    beacon.on(f"POST {PROJECT}/tasks", answer(TASK, 201))
    printed = {"api", "run log"}  # whatever they get
    for shape, name, as_json in product(WRONG_SHAPES, sorted({*ASKING} - printed), (False, True)):
        beacon.otherwise = answer(shape)
        line = spelled(name, as_json=as_json)
        with concerning((shape, line)):
            result = taskbeacon(*line)
            settles = name == "run verify" and isinstance(shape, dict)
            assert result.code == (0 if settles else 8)
            assert settles or "--json" not in line or result.error["code"] == "bad_answer"


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ("1 // 0", "ZeroDivisionError"),
        ("None()", "TypeError"),
        ("open(1, 2, 3, nothing=4)", "TypeError"),
        ("sys.nothing", "AttributeError"),
        ("os.environ['nothing']", "KeyError"),
    ],
)
def test_a_defect_is_no_failed_run_and_no_bad_answer(beacon: Server, fault: str, name: str) -> None:
    beacon.on(f"GET {PROJECT}/tasks", answer({"next": None, "results": [TASK]}))
    program = f"""
import os, sys
from taskbeacon.cli import output, run
output.rows = lambda found: {fault}
run()
"""
    with spawn(beacon.url, "task", "list", program=["-c", program]) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (70, "")
    assert (f"{name}: " in err, "Traceback" in err, "taskbeacon: " in err) == (True, True, False)


def test_wrong_command_lines(beacon: Server, taskbeacon: Taskbeacon) -> None:
    for command in (
        ["bogus"],
        ["task"],
        ["task", "create"],
        ["task", "create", "text", "-F", "-"],
        ["task", "create", "text", "--check", " "],
        ["task", "create", ""],
        ["task", "create", "-"],
        ["events", "listen", "--forward", "nonsense"],
        ["task", "create", "text", "--attach", __file__],
        ["task", "list", "--json", "bogus"],
        ["task", "list", "--status", "bogus"],
        ["run", "follow", RUN_ID, "--require", "refuted"],
        ["task", "create", "text", "--run", "--require", "verified"],
        ["task", "create", "text", "--follow", "--require", "bogus"],
        ["run", "start", TASK_ID, "--timeout", "5"],
        ["run", "log", RUN_ID, "--until", "waiting"],
        ["run", "follow", RUN_ID, "--after", "bogus"],
        ["task", "create", "-F", "nofile"],
        ["task", "create", "-t", "caf\udce9"],
        ["run", "follow", RUN_ID, "--timeout", "soon"],
        ["answer", "@latest"],
        ["api", "GET", "https://elsewhere/"],
        ["api", "GET", "tasks\x01"],
        ["task", "view", "1", "--url", "http://a.example"],
        ["task", "view", "1", "--url", "nonsense"],
    ):
        with concerning(command):
            result = taskbeacon(*command)
            assert (result.code, result.out) == (2, "")
    assert beacon.received == []
    assert (
        taskbeacon("task", "view", "1", "--url", "http://a.example", "--json").error["code"] == "insecure_url"
    )


def test_a_check_has_a_command(beacon: Server, taskbeacon: Taskbeacon) -> None:
    for options in (["--check"], ["--check", ""], ["--check", "--run"], ["--check", "true", "--check"]):
        with concerning(options):
            result = taskbeacon("task", "create", "Fix it", *options)
            assert (result.code, result.out, beacon.received) == (2, "", [])
            assert 'such as --check "make test"' in result.err


def test_without_a_key(beacon: Server, taskbeacon: Taskbeacon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TASKBEACON_TOKEN")
    for options, url in (([], beacon.url), (["--url", "https://a.example"], "https://a.example")):
        result = taskbeacon("inbox", *options)
        assert (result.code, f"`taskbeacon login --url {url}`" in result.err) == (4, True)
    monkeypatch.delenv("TASKBEACON_URL")
    assert "`taskbeacon login --url URL`" in taskbeacon("inbox").err


def test_a_task_is_created(beacon: Server, taskbeacon: Taskbeacon) -> None:
    beacon.on(
        f"POST {PROJECT}/tasks", answer(TASK, 201), answer(TASK, 201, **{"Idempotent-Replayed": "true"})
    )
    beacon.on(f"POST {PROJECT}/tasks/{TASK_ID}/run", answer(TASK))
    url = f"{beacon.url}/console/projects/12/tasks/{TASK_ID}"
    result = taskbeacon(
        "task", "create", "Fix it", "--repo", "acme/shop", "--check", "pytest -q", "--request-id", "k"
    )
    assert (result.code, result.out, result.err) == (0, f"PLA-1 {url}\n", "")
    sent = beacon.received[0]
    assert sent.headers["idempotency-key"] == "k"
    assert sent.json == {
        "description": "Fix it",
        "repository": "acme/shop",
        "acceptance": {"checks": [{"id": "check-1", "shell": "pytest -q"}]},
    }
    result = taskbeacon("task", "create", "-F", "-", "--run", "--request-id", "k", "--json", text="Fix it")
    task, run = result.lines
    assert (task["type"], task["url"], task["request_id"], task["replayed"]) == ("task", url, "k", True)
    assert (run["type"], run["run"]["id"], run["replayed"]) == ("run", RUN_ID, False)
    assert result.err.startswith("background: questions are answered by the service;")
    (started,) = beacon.at(f"POST {PROJECT}/tasks/{TASK_ID}/run")
    assert (started.headers["idempotency-key"], started.json) == ("k-run", {"mode": "background"})


def test_an_agent_gets_its_first_model(beacon: Server, taskbeacon: Taskbeacon) -> None:
    models = [{"name": "s"}, {"name": "o"}]
    agents = [{"name": "codex", "models": []}, {"name": "claude", "models": models}]
    beacon.on(f"GET {PROJECT}/agents", answer({"results": agents}))
    beacon.on(f"POST {PROJECT}/tasks/{TASK_ID}/run", answer(TASK))
    assert taskbeacon("run", "start", TASK_ID, "--agent", "claude", "--branch", "main").out == f"{RUN_ID}\n"
    assert taskbeacon("run", "start", TASK_ID, "--agent", "runbook").code == 0
    first, second = beacon.at(f"POST {PROJECT}/tasks/{TASK_ID}/run")
    assert first.json == {"mode": "background", "branch": "main", "runtime_adapter": "claude", "model": "s"}
    assert second.json == {"mode": "background"}


def test_a_wrong_choice_changes_nothing(beacon: Server, taskbeacon: Taskbeacon) -> None:
    agents = [{"name": "codex", "models": []}, {"name": "claude", "models": [{"name": "s"}]}]
    beacon.on(f"GET {PROJECT}/agents", answer({"results": agents}))
    for options in (
        ["--agent", "gemini"],
        ["--agent", "gemini", "--model", "g"],
        ["--agent", "codex"],
        ["--model", "s"],
        ["--require", "refuted"],
        ["--timeout", "soon"],
    ):
        for command in (["task", "create", "Fix it"], ["run", "start", TASK_ID]):
            with concerning((command, options)):
                assert taskbeacon(*command, "--follow", *options).code == 2
    assert {sent.method for sent in beacon.received} == {"GET"}


def test_a_wrong_choice_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    options = [{"id": "a", "name": "A"}, {"id": "b", "name": "B"}]
    said = iter(["9", "2"])
    assert _choice({"kind": "permission", "options": options}, lambda _: next(said)) == {"option_id": "b"}
    assert "There is no such option." in capsys.readouterr().err


def test_tasks_are_listed(beacon: Server, taskbeacon: Taskbeacon) -> None:
    rows = [TASK | {"title": HOSTILE}, TASK | {"id": "b", "slug": "PLA-2", "latest_run": WAITS}]
    beacon.on(f"GET {PROJECT}/tasks", answer({"next": None, "results": rows}))
    assert (
        taskbeacon("task", "list").out == "PLA-1  in_progress  -  [2J title\nPLA-2  waiting      -  Fix it\n"
    )
    result = taskbeacon("task", "list", "--status", "waiting", "--mine", "--json", "url,slug,status,run_id")
    url = f"{beacon.url}/console/projects/12/tasks/b"
    assert result.lines == [[{"url": url, "slug": "PLA-2", "status": "waiting", "run_id": RUN_ID}]]
    assert beacon.at(f"GET {PROJECT}/tasks")[-1].query["created_by"] == "4"
    for arguments, most in ((["--limit", "1"], "1"), (["--limit", "1", "--status", "waiting"], "100")):
        # What the command filters itself needs whole pages.
        assert taskbeacon("task", "list", *arguments).code == 0
        assert beacon.at(f"GET {PROJECT}/tasks")[-1].query["limit"] == most
    result = taskbeacon("task", "list", "--json")
    assert (result.code, result.out.split()) == (0, list(_FIELDS))
    assert set(types.Task.__annotations__) | {"status", "verdict", "run_id", "url"} == set(_FIELDS)


def test_a_run_is_followed(beacon: Server, taskbeacon: Taskbeacon) -> None:
    verified = DONE | {"verification": {"verdict": "verified"}}
    follows(beacon, verified, ENTRY, frame({"type": "gap", "lost": 2}, name="gap"), ENDED)
    result = taskbeacon("run", "follow", RUN_ID, "--json", "--require", "verified")
    assert result.code == 0
    run, entry, gap, state, end = result.lines
    assert (run["type"], run["run"]["id"]) == ("run", RUN_ID)
    assert (entry["type"], entry["event_id"]) == ("notification", "1-1")
    assert (gap["type"], gap["lost"]) == ("gap", 2)
    assert state["event_id"] == "1-9"
    assert end == {
        "type": "end", "reason": "terminal", "status": "completed", "verdict": "verified", "exit_code": 0,
        "event_id": "1-9", "resume": None,
    }  # fmt: skip
    assert result.out.isascii()


def test_how_a_run_ends(beacon: Server, taskbeacon: Taskbeacon) -> None:
    cases: list[tuple[dict[str, Any], list[str], int]] = [
        (DONE, [], 0),
        (RUN | {"status": "failed", "error_message": f"no {HOSTILE}"}, [], 1),
        (RUN | {"status": "cancelled"}, [], 9),
        (DONE, ["--require", "verified"], 3),
        (DONE | {"verification": {"verdict": "refuted", "reasons": REASONS}}, ["--require", "verified"], 3),
        (DONE | {"verification": {"verdict": "verified", "ci": None}}, ["--require", "verified,ci"], 3),
        (DONE | {"verification": {"verdict": "verified", "ci": {"state": "success"}}}, ["--require", "verified,ci"], 0),
    ]  # fmt: skip
    for run, options, code in cases:
        with concerning((run["status"], options)):
            state = frame({"type": "task_run_state", "status": run["status"]}, id_="1-9")
            beacon.reset()
            follows(beacon, run, ENTRY, state)
            result = taskbeacon("run", "follow", RUN_ID, *options)
            assert result.code == code
            assert "  ● Cloning[31m \n" in result.out
            assert f"Result: {run['status']}" in result.out
            reasons = (
                "  verdict: refuted\n    tests: new failures: shop > price no [31m\n    checks file invalid\n"
            )
            assert (reasons in result.out) is ("reasons" in (run["verification"] or {}))
            assert not {"\x1b", "\u202e", "\x07"} & set(result.out + result.err)


def test_a_run_that_waits(beacon: Server, taskbeacon: Taskbeacon) -> None:
    beacon.on(f"GET {PATH}/stream", stream(ENTRY, ENDED))
    beacon.on(f"GET {PATH}", answer(WAITS), answer(WAITS), answer(DONE))
    beacon.on(f"GET {PROJECT}/resolve", answer({"task": TASK_ID, "run": RUN_ID}))
    for options in ([], ["--until", "waiting"]):
        result = taskbeacon("run", "follow", RUN_ID, "--after", "1-0", *options)
        assert result.code == 6
        assert result.err.splitlines()[-2:] == [
            "taskbeacon: the run waits for a person: see `taskbeacon inbox`",
            f"taskbeacon run follow {RUN_ID} --after 1-0",
        ]
        beacon.reset(f"GET {PATH}", answer(WAITS), answer(WAITS), answer(DONE))
    beacon.on(f"POST {PATH}/command", answer({"result": {}}))
    # The log comes before what the run waits for, and the stream does not show it again.
    beacon.on(f"GET {PATH}/logs", Reply(body=ENTRY.splitlines()[1].removeprefix(b"data: ")))
    result = taskbeacon("run", "follow", RUN_ID, "--close")
    assert (result.code, result.out.count("Cloning")) == (0, 1)
    logs, command = f"GET {PATH}/logs", f"POST {PATH}/command"
    asked = [f"{sent.method} {sent.path}" for sent in beacon.received]
    assert asked.index(logs) < asked.index(command)
    assert beacon.at(f"POST {PATH}/command")[0].json["method"] == "close"


def test_log_diff_and_files(beacon: Server, taskbeacon: Taskbeacon) -> None:
    files = [{"id": "a" * 32, "name": f"n{HOSTILE}.txt", "type": "output", "size": 3, "storage_path": "p"}]
    beacon.on(f"GET {PROJECT}/resolve", answer({"task": TASK_ID, "run": RUN_ID}))
    beacon.on(f"GET {PATH}", answer(RUN | {"artifacts": files}))
    lines = [b'{"type":"notification","n":1}', b'{"n":2}', b'{"type":"x","n":3}']
    beacon.on(f"GET {PATH}/logs", Reply(body=b"\n".join(lines)))
    assert [line["n"] for line in taskbeacon("run", "log", "1", "--json", "--tail", "2").lines] == [2, 3]
    assert taskbeacon("run", "log", "1", "--json").lines[1]["type"] == "unknown"
    assert taskbeacon("run", "artifacts", "1", "--json", "size,name").lines == [
        [{"size": 3, "name": files[0]["name"]}]
    ]
    assert taskbeacon("run", "artifacts", "1").out == f"{'a' * 32}  3  n[2J title.txt\n"
    diff = {
        "base": "m",
        "head": None,
        "next": None,
        "files": [{"path": "a\x1b", "additions": 1, "deletions": 0}],
    }
    beacon.on(f"GET {PATH}/diff", answer(diff))
    assert taskbeacon("run", "diff", "1", "--stat").out == "+1  -0  a\n"
    assert taskbeacon("run", "diff", "1", "--json").lines == [diff]
    assert taskbeacon("run", "diff", "1").out == ""


def test_the_output_of_a_run_can_be_any_json(beacon: Server, taskbeacon: Taskbeacon) -> None:
    """A schema can ask for a list: `run view` and `run apply` took that for a bad answer."""
    beacon.on(f"GET {PROJECT}/resolve", answer({"task": TASK_ID, "run": RUN_ID}))
    for output in ([1], "text", 7, {"a": 1}, None):
        with concerning(output):
            run = DONE | {"output": output, "state": {"head_branch": "topic"}}
            beacon.reset(f"GET {PATH}", answer(run))
            assert "head branch: topic\n" in taskbeacon("run", "view", "1").out
            assert taskbeacon("run", "view", "1", "--json").lines == [run]


def test_a_form_has_any_schema() -> None:
    """A field that is `true`, or of one of several types, was taken for a bad answer."""
    fields = {
        "any": True,
        "several": {"type": ["integer", "null"]},
        "text": {"type": "string", "title": "Name"},
    }
    said = iter(["one", "2", "3"])
    found = _form({"schema": {"properties": fields}}, lambda _: next(said))
    assert found == {"action": "accept", "content": {"any": "one", "several": 2, "text": "3"}}
    assert _form({"schema": None}, lambda _: next(said)) == {"action": "accept", "content": {}}


def test_questions(beacon: Server, taskbeacon: Taskbeacon) -> None:
    row = {
        "id": "01890001-0000-7000-8000-000000000000", "project_id": 3, "digest": "d", "opened_at": "1", "kind": "permission",
        "urgency": "high", "title": "May I?", "task": {"slug": "PLA-1"}, "options": [{"id": "allow", "name": "Allow once"}],
        "run": {"id": RUN_ID}, "status": "open",
    }  # fmt: skip
    nothing, waits = answer({"next": None, "results": []}), answer({"next": None, "results": [row]})
    beacon.on("GET /api/users/@me/inbox", nothing, waits)
    assert taskbeacon("inbox") == (0, "", "No question waits for you.\n")
    path = f"POST /api/projects/3/questions/{row['id']}/answer"
    beacon.on(path, answer({"status": "answered"}))
    assert taskbeacon("inbox").out == f"{row['id']}  permission  high  PLA-1  May I?\n"
    assert taskbeacon("inbox", "--json", "id,title").lines == [[{"id": row["id"], "title": "May I?"}]]
    assert taskbeacon("answer", "@latest", "--option", "Allow once").err == "Answered: May I? (PLA-1)\n"
    beacon.reset(
        "GET /api/users/@me/inbox",
        answer({"next": None, "results": [row | {"kind": "message", "options": []}]}),
    )
    wrong_kind = taskbeacon("answer", "@latest", "--option", "1")
    assert (wrong_kind.code, wrong_kind.err) == (2, "taskbeacon: the question takes --text\n")
    beacon.reset("GET /api/users/@me/inbox", waits)
    for wrong in (["--option", "maybe"], ["--text", "yes"]):
        refused = taskbeacon("answer", "@latest", *wrong)
        assert (refused.code, "as --option: allow (Allow once)" in refused.err) == (2, True)
    result = taskbeacon("answer", "018900", "--json", "-", text='{"option_id": "deny"}')
    assert result.lines == [{"status": "answered", "repeated": False}]
    assert [sent.json["option_id"] for sent in beacon.at(path)] == ["allow", "deny"]
    # Names of what the method that sends it takes itself.
    for text in ('{"request_id": 5}', '{"question": "q"}', '{"self": 1}', "[]"):
        with concerning(text):
            result = taskbeacon("answer", "018900", "--json", "-", text=text)
            assert (result.code, "standard input is no JSON object of an answer" in result.err) == (2, True)


def test_sign_in_status_and_sign_out(
    beacon: Server, taskbeacon: Taskbeacon, monkeypatch: pytest.MonkeyPatch
) -> None:
    beacon.on("GET /api/projects", answer({"results": [{"id": 12, "name": "Playground"}]}))
    agents = [{"name": "claude", "available": False}, {"name": "codex", "available": True}]
    beacon.on(f"GET {PROJECT}/agents", answer({"results": agents}))
    beacon.on("GET /livez", answer({"status": "ok"}))
    monkeypatch.delenv("TASKBEACON_TOKEN")
    monkeypatch.delenv("TASKBEACON_URL")
    assert taskbeacon("login", "--with-token", "--url", beacon.url, text="phx_secret\n").code == 0
    assert stat.S_IMODE(config_file().stat().st_mode) == 0o600
    assert read_config()["profiles"]["default"] == {"url": beacon.url, "key": "phx_secret"}
    (found,) = taskbeacon("status", "--json").lines
    assert found["project"] == {"id": 12, "name": "Playground"}
    assert (found["user"], found["key_from"], found["agents"]) == (
        {"id": 4, "email": "a@example.com"}, "file", ["claude", "codex", "runbook"],
    )  # fmt: skip
    shown = taskbeacon("status").out
    assert "person: a@example.com" in shown
    assert "agents: codex, runbook (not ready: claude)\n" in shown
    assert taskbeacon("logout").err.startswith("The profile default forgot its key")
    assert taskbeacon("logout").err == "The profile default has no key.\n"
    assert taskbeacon("status").code == 4
    beacon.reset("GET /api/users/@me", failure(401, "authentication_failed"))
    assert taskbeacon("login", "--with-token", "--url", beacon.url, text="phx_secret").code == 4
    assert "key" not in read_config()["profiles"]["default"]


def test_sign_in_with_a_key_that_may_not_read_its_person(beacon: Server, taskbeacon: Taskbeacon) -> None:
    """A key with `task:write` alone, which is valid for all that it may do, was refused."""
    beacon.reset("GET /api/users/@me", failure(403, "permission_denied"))
    result = taskbeacon("login", "--with-token", "--url", beacon.url, text="phx_secret\n")
    assert (result.code, result.err) == (0, f"Signed in to {beacon.url}.\n")
    assert read_config()["profiles"]["default"]["key"] == "phx_secret"


def test_the_key_goes_to_no_server_of_others(beacon: Server, taskbeacon: Taskbeacon) -> None:
    for said in ({"status": "ok"}, {"id": 1, "email": None}, ["a@example.com"]):
        with concerning(said):
            beacon.reset("GET /api/users/@me", answer(said))
            result = taskbeacon("login", "--with-token", text="phx_secret")
            assert (result.code, result.out, config_file().exists()) == (8, "", False)


@pytest.mark.usefixtures("_in_a_checkout")
def test_the_target_of_a_redirect_gets_nothing(beacon: Server, taskbeacon: Taskbeacon) -> None:
    """No request, and so no key; of any command, also where the file of a run is said to be elsewhere."""
    with in_a_thread() as other:
        other.otherwise = answer(TASK)
        for status, name in product((301, 302, 303, 307, 308), ASKING):
            beacon.always = Reply(status, headers={"Location": f"{other.url}/api/users/@me"})
            with concerning((status, name)):
                assert taskbeacon(*spelled(name, as_json=False)).code == 8
        assert beacon.always is not None
        beacon.on(f"GET {PATH}/artifacts/download", beacon.always)
        files = [{"name": "changes.patch", "type": "output", "storage_path": "p"}]
        follows(beacon, RUN)
        beacon.reset(f"GET {PATH}", answer(DONE | {"artifacts": files}))
        beacon.always = None
        for command in ("apply", "diff"):
            assert taskbeacon("run", command, "1").code == 8
        assert other.received == []


def test_any_request(beacon: Server, taskbeacon: Taskbeacon) -> None:
    beacon.on(f"GET {PROJECT}/tasks", answer({"next": None, "results": [{"id": 1}]}))
    beacon.on(f"POST {PROJECT}/tasks", answer(TASK, 201))
    assert json.loads(taskbeacon("api", "GET", "tasks", "-f", "search=x").out)["results"] == [{"id": 1}]
    assert taskbeacon("api", "GET", "tasks", "--paginate").lines == [[{"id": 1}]]
    taskbeacon("api", "POST", "tasks", "-f", "title=5", "-F", "internal=true")
    taskbeacon("api", "POST", "tasks", "--input", "-", text='{"title": "x"}')
    assert [sent.json for sent in beacon.at(f"POST {PROJECT}/tasks")] == [
        {"title": "5", "internal": True},
        {"title": "x"},
    ]


def test_events_are_forwarded_as_the_server_signs(beacon: Server, taskbeacon: Taskbeacon) -> None:
    row = {"id": "e1", "seq": 1, "type": "run.started", "timestamp": "t", "data": {"run_id": RUN_ID}}
    other = row | {"id": "e2", "type": "task.created"}
    beacon.on(
        f"GET {PROJECT}/events/stream",
        stream(frame({}, name="keepalive", id_="p0"), frame(other, id_="p1"), frame(row, id_="p2")),
        failure(403, "permission_denied"),
    )
    beacon.on("POST /hook", Reply(500))
    types = f"GET {PROJECT}/webhook_event_types"
    beacon.on(types, answer([{"type": "run.started"}, {"type": "task.created"}]))
    for unknown in ("foo", "run.*,runs.*", "run.start"):
        with concerning(unknown):
            refused = taskbeacon("events", "listen", "--types", unknown)
            assert (refused.code, "run.started, task.created" in refused.err) == (2, True)
    beacon.reset(types, failure(403, "permission_denied"))
    secret = taskbeacon("events", "listen", "--print-secret").out.strip()
    result = taskbeacon("events", "listen", "--types", "run.*", "--forward", f"{beacon.url}/hook", "--json")
    assert result.err.splitlines()[0] == "Listening"
    assert [line["type"] for line in result.lines] == ["listening", "run.started"]
    assert result.lines[1]["forwarded"] == {"status": 500}
    (sent,) = beacon.at("POST /hook")
    assert verify_webhook(sent.body, sent.headers, secret) == row
    assert "authorization" not in sent.headers
    taskbeacon("events", "listen", "--forward", f"{beacon.url}/hook")
    assert beacon.at(f"GET {PROJECT}/events/stream")[-1].headers["last-event-id"] == "p2"
    assert taskbeacon("events", "listen", "--print-secret").out.strip() == secret


def test_help(taskbeacon: Taskbeacon, monkeypatch: pytest.MonkeyPatch) -> None:
    table = taskbeacon("help", "exit-codes").out
    assert [line.split()[0] for line in table.splitlines()] == [*map(str, range(10)), "70", "124", "130"]
    assert taskbeacon("version", "--json").lines[0]["client_version"]
    for shell in ("bash", "zsh", "fish"):
        assert "_TASKBEACON_COMPLETE" in taskbeacon("completion", shell).out
    monkeypatch.setenv("COLUMNS", "40")
    for words in ([], ["task"], ["task", "create"], ["run", "follow"], ["help", "task", "create"]):
        with concerning(words):
            result = taskbeacon(*words, *([] if words[:1] == ["help"] else ["--help"]))
            assert result.code == 0
            assert max(map(len, result.out.splitlines())) <= 40


def test_what_is_not_found_is_named(beacon: Server, taskbeacon: Taskbeacon) -> None:
    beacon.on(f"GET {PROJECT}/resolve", failure(404, "not_found"))
    for kind in ("task", "run"):
        result = taskbeacon(kind, "view", "nope")
        assert result.code == 5
        assert result.err.startswith(f"taskbeacon: {kind} nope: ")


def test_a_wrong_field_is_named(beacon: Server, taskbeacon: Taskbeacon) -> None:
    beacon.on(f"POST {PROJECT}/tasks", failure(400, "blank", attr="title"))
    beacon.on(f"GET {PROJECT}/tasks", answer({"next": None, "results": []}))
    assert taskbeacon("task", "create", "x").err == "taskbeacon: title: It is blank.\n"
    assert taskbeacon("task", "list") == (0, "", "There is no such task.\n")


def test_requests_can_be_shown_without_the_key(beacon: Server) -> None:
    beacon.on(f"GET {PROJECT}/tasks", answer({"results": []}))
    with spawn(beacon.url, "api", "GET", "tasks", TASKBEACON_DEBUG="api") as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)) == (0, {"results": []})
    assert f"GET {beacon.url}{PROJECT}/tasks 200" in err
    assert "phx_secret" not in err


def test_help_loads_no_http_library() -> None:
    program = (
        "import sys; from taskbeacon.cli import perform; perform(['--help']); perform(['task', 'create', '--help']);"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"httpx", "asyncio", "ssl", "app.config"} & set(done.stderr.split())
