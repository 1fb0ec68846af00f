"""The command `taskbeacon` in a terminal: presence, questions, sizes and colours, and hostile texts."""

import json
import os
import re
import sys
from pathlib import Path
from random import Random
from shlex import join
from shutil import which
from typing import Any

import pytest

from taskbeacon.cli.output import _STYLES
from taskbeacon.client.settings import change_profile
from tests.client.server import PROJECT, Reply, Server, answer, failure, frame, stream
from tests.client.terminal import TASKBEACON, Shown, Terminal
from tests.client.test_checkout import checkout, git, patch_of
from tests.client.test_command_line import (
    DONE,
    ENDED,
    ENTRY,
    PATH,
    REASONS,
    RUN,
    RUN_ID,
    TASK,
    TASK_ID,
    follows,
)

__all__ = ["checkout"]

PRESENCE = f"{PROJECT}/tasks/{TASK_ID}/presence"


def environment(beacon: Server, **more: str) -> dict[str, str]:
    own = {name: os.environ[name] for name in ("PATH", "HOME", "XDG_CONFIG_HOME") if name in os.environ}
    return own | {"TASKBEACON_URL": beacon.url, "TASKBEACON_TOKEN": "phx_secret", **more}


def shown(beacon: Server, *command: str, **more: str) -> Shown:
    return Terminal(command, environment(beacon, **more)).end()


def test_who_sees_a_follow_is_present(beacon: Server) -> None:
    """In the foreground of a terminal; not in the background, nor with the output elsewhere."""
    follows(beacon, DONE, ENTRY, ENDED)
    beacon.on(f"POST {PRESENCE}", answer(None, 204))
    beacon.on(f"DELETE {PRESENCE}", answer(None, 204))
    follow = [*TASKBEACON, "run", "follow", RUN_ID]
    assert shown(beacon, *follow).code == 0
    (beat,), (left,) = beacon.at(f"POST {PRESENCE}"), beacon.at(f"DELETE {PRESENCE}")
    assert beat.json == left.json == {"device_id": beat.json["device_id"], "kind": "terminal"}

    for shell in (f"set -m; {join(follow)} & wait $!", f"{join(follow)} > /dev/null"):
        beacon.received.clear()
        assert shown(beacon, "bash", "-c", shell).code == 0
        assert beacon.at(f"GET {PATH}/stream")
        assert not beacon.at(f"POST {PRESENCE}") + beacon.at(f"DELETE {PRESENCE}")


def test_a_terminal_that_closes_leaves_the_run(beacon: Server) -> None:
    beacon.on(f"GET {PROJECT}/resolve", answer({"task": TASK_ID, "run": RUN_ID}))
    beacon.on(f"GET {PATH}", answer(RUN))
    beacon.on(f"GET {PATH}/stream", stream(ENTRY))
    beacon.on(f"POST {PRESENCE}", answer(None, 204))
    beacon.on(f"DELETE {PRESENCE}", answer(None, 204))
    terminal = Terminal([*TASKBEACON, "run", "follow", RUN_ID], environment(beacon))
    terminal.read_until("Cloning")
    assert terminal.close() == 130
    changed = {f"{sent.method} {sent.path}" for sent in beacon.received if sent.method != "GET"}
    assert changed == {f"POST {PRESENCE}", f"DELETE {PRESENCE}"}


def test_a_key_that_a_person_types_is_not_shown(beacon: Server) -> None:
    beacon.on("GET /api/users/@me", answer({"id": 4, "email": "a@example.com"}))
    terminal = Terminal([*TASKBEACON, "login", "--with-token"], environment(beacon))
    terminal.read_until("Key:")
    terminal.type("phx_typed\n")
    code, text = terminal.end()
    assert (code, "phx_typed" in text) == (0, False)
    assert beacon.at("GET /api/users/@me")[0].headers["authorization"] == "Bearer phx_typed"

    terminal = Terminal([*TASKBEACON, "login", "--with-token"], environment(beacon))
    terminal.read_until("Key:")
    terminal.type("\x04")  # Ctrl-D ended with a trace back
    code, text = terminal.end()
    assert (code, "standard input has no key" in text) == (2, True)


def test_a_patch_has_colours_where_a_person_sees_it(beacon: Server) -> None:
    patch = b"diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-one\x1b[2J\n+two\n same\n"
    files = [{"id": "a" * 32, "name": "changes.patch", "type": "output", "size": 3, "storage_path": "p"}]
    follows(beacon, DONE)
    beacon.reset(f"GET {PATH}", answer(DONE | {"artifacts": files}))
    beacon.on(f"GET {PATH}/artifacts/download", Reply(body=patch))
    diff = [*TASKBEACON, "run", "diff", RUN_ID]
    assert shown(beacon, *diff).text.splitlines() == [
        "\x1b[1mdiff --git a/a b/a\x1b[0m", "\x1b[1m--- a/a\x1b[0m", "\x1b[1m+++ b/a\x1b[0m",
        "\x1b[36m@@ -1 +1 @@\x1b[0m", "\x1b[31m-one[2J\x1b[0m", "\x1b[32m+two\x1b[0m", " same",
    ]  # fmt: skip
    for plain in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in shown(beacon, *diff, **plain).text


NARROW = Path(__file__).with_name("narrow.txt")


def test_a_narrow_window_has_whole_words(beacon: Server, tmp_path: Path) -> None:
    """Of 40 columns. Only what has no space in it is wider, and the command to paste."""
    said = "The greeting is in greet.txt: it has more words than a narrow window has room for.\n\n    as = it\tis\n"
    run = RUN | {
        "status": "failed", "error_message": "The agent ended before it had done what it was asked to do",
        "output": {"head_branch": "taskbeacon/pla-1", "pr_url": f"https://git.example/{'x' * 30}/pull/1"},
        "verification": {"verdict": "refuted", "reasons": REASONS}, "artifacts": [{"name": "changes.patch"}],
    }  # fmt: skip
    question = {
        "id": RUN_ID, "kind": "permission", "urgency": "high", "task": {"slug": "PLA-1"},
        "title": "May I remove the folder with the results of the build?",
    }  # fmt: skip
    tasks = [TASK | {"title": "Greet the reader in a longer sentence than usual", "description": said}]
    tasks.append(TASK | {"id": RUN_ID, "slug": "PLA-2"})
    beacon.on(f"GET {PROJECT}/resolve", answer({"task": TASK_ID, "run": RUN_ID}))
    beacon.on(f"GET {PROJECT}/tasks", answer({"next": None, "results": tasks}))
    beacon.on(f"GET {PROJECT}/tasks/{TASK_ID}", answer(tasks[0]))
    beacon.on("GET /api/users/@me", answer({"id": 4, "team": {"id": 12}}))
    beacon.on("GET /api/users/@me/inbox", answer({"next": None, "results": [question]}))
    beacon.on(f"GET {PATH}", answer(run))
    logged = (frame(entry, id_=f"0-{number}") for number, entry in enumerate(entries(said)))
    beacon.on(f"GET {PATH}/stream", stream(*logged, frame({"lost": 3}, name="gap"), ENDED))
    read = {"40": "", "200": ""}
    for columns in read:
        for command in ("task list", "task view 1", "inbox", "run view 1", "run follow 1"):
            done = shown(beacon, *TASKBEACON, *command.split(), COLUMNS=columns, NO_COLOR="1")
            text = done.text.replace("\r\n", "\n").replace(beacon.url, "https://beacon.example")
            read[columns] += f"$ {command}\n{text}"
    # With its own colours, that has the same lines.
    coloured = shown(beacon, *TASKBEACON, "run", "follow", "1", COLUMNS="40").text.replace("\r\n", "\n")
    assert OWN_STYLES.sub("", coloured) == read["40"].partition("$ run follow 1\n")[2]
    wide = [line for line in read["40"].splitlines() if len(line) > 40]
    assert [line for line in wide if " " in line.strip()] == [f"taskbeacon run apply {RUN_ID}"]
    assert set(read["200"].split()) == set(read["40"].split())
    (found := tmp_path / "narrow.txt").write_text(read["40"], encoding="utf-8")
    assert NARROW.read_text(encoding="utf-8") == read["40"], f"read it, then: cp {found} {NARROW}"


@pytest.mark.parametrize("command", ["try", "serve", "admin"])
def test_help_of_the_server_is_narrow_too(beacon: Server, command: str) -> None:
    done = shown(beacon, *TASKBEACON, command, "--help", COLUMNS="40")
    assert (done.code, max(map(len, done.text.splitlines()))) <= (0, 40)


QUESTION = {
    "id": "01890001-0000-7000-8000-000000000000", "project_id": 3, "digest": "d", "status": "open", "kind": "permission",
    "title": "May I\x1b[2J?", "detail": "rm -r build", "link": None, "link_host": None,
    "options": [{"id": "allow", "name": "Allow once"}, {"id": "deny", "name": "Deny"}],
}  # fmt: skip
FORM = QUESTION | {"kind": "form", "schema": {"properties": {"name": {"type": "string"}}}}


@pytest.mark.parametrize(
    ("question", "prompt"),
    [(QUESTION, "number, name or id > "), (FORM, "name > "), (None, "conversation) > ")],
)
def test_a_question_that_is_answered_elsewhere_lets_the_follow_go_on(
    beacon: Server, question: dict[str, Any] | None, prompt: str
) -> None:
    """Nobody types a line; what is half typed is dropped."""
    kind = "message" if question is None else question["kind"]
    asked, has_phone = RUN | {"state": {"waiting_for": {"kind": kind, "since": "1"}}}, list[bool]()
    beacon.on(f"GET {PROJECT}/resolve", answer({"task": TASK_ID, "run": RUN_ID}))
    beacon.on(f"GET {PATH}", lambda _: answer(DONE if has_phone else asked))
    beacon.on(f"GET {PATH}/stream", stream(ENTRY, ENDED))
    beacon.on(f"GET {PATH}/questions", answer({"results": [question]}))
    terminal = Terminal([*TASKBEACON, "run", "follow", RUN_ID], environment(beacon))
    terminal.read_until(prompt)
    terminal.type("al")
    has_phone.append(True)
    done = terminal.end()
    assert (done.code, "It is answered already, elsewhere; the run goes on." in done.text) == (0, True)
    assert {sent.method for sent in beacon.received if not sent.path.endswith("/presence")} == {"GET"}


def test_a_question_is_answered_in_the_terminal_while_the_phone_answers_too(beacon: Server) -> None:
    """The second answer comes too late, and who won is told."""
    asked = RUN | {"state": {"waiting_for": {"kind": "permission", "since": "1"}}}
    again = RUN | {"state": {"waiting_for": {"kind": "permission", "since": "2"}}}
    path = f"POST /api/projects/3/questions/{QUESTION['id']}/answer"
    beacon.on(f"GET {PROJECT}/resolve", answer({"task": TASK_ID, "run": RUN_ID}))
    beacon.on(f"GET {PATH}", lambda _: answer([asked, again, DONE][len(beacon.at(path))]))
    beacon.on(f"GET {PATH}/stream", stream(ENTRY), stream(ENDED))
    beacon.on(f"GET {PATH}/questions", answer({"results": [QUESTION]}))
    beacon.on(
        path, answer({"status": "answered"}), failure(409, "already_answered", extra={"answered_via": "push"})
    )
    terminal = Terminal([*TASKBEACON, "run", "follow", RUN_ID], environment(beacon))
    for said in ("9\n1\n", "deny\n"):
        terminal.read_until("number, name or id > ")
        terminal.type(said)
    done = terminal.end()
    assert (done.code, "\x1b[2J" in done.text) == (0, False)
    assert [sent.json["option_id"] for sent in beacon.at(path)] == ["allow", "deny"]
    for told in (
        "May I[2J?",
        "rm -r build",
        "  2 Deny",
        "There is no such option.",
        "It is answered already (push)",
    ):
        assert told in done.text


@pytest.mark.parametrize(("pushes", "attaches"), [(True, True), (True, False), (False, True), (False, False)])
def test_a_person_is_offered_to_push_or_to_attach_a_patch(
    beacon: Server, checkout: Path, *, pushes: bool, attaches: bool
) -> None:
    git(checkout, "switch", "--quiet", "-c", "topic")
    for text in ("committed", "changed"):
        (checkout / "a.txt").write_text(f"{text}\n")
        if text == "committed":
            git(checkout, "commit", "--quiet", "-am", "second")
    form = {"url": f"{beacon.url}/store", "fields": {"key": "p"}}
    path = f"POST {PROJECT}/tasks/{TASK_ID}"
    beacon.on(f"POST {PROJECT}/tasks", answer(TASK, 201))
    beacon.on(f"{path}/run", answer(TASK))
    prepared = {"artifacts": [{"id": "u", "storage_path": "p", "presigned_post": form}]}
    beacon.on(f"{path}/staged_artifacts/prepare_upload", answer(prepared))
    beacon.on("POST /store", Reply(204))
    beacon.on(f"{path}/staged_artifacts/finalize_upload", answer({"artifacts": [{"id": "u"}]}))
    terminal = Terminal(
        [*TASKBEACON, "task", "create", "Fix it", "--repo", ".", "--run"], environment(beacon)
    )
    for prompt, agrees in (("Push the commits now?", pushes), ("Attach a patch", attaches)):
        terminal.read_until(f"{prompt}")
        terminal.type("yes\n" if agrees else "\n")
    done = terminal.end()
    assert done.code == 0, done.text
    pushed = git(checkout, "ls-remote", "--heads", "origin", "topic")
    assert pushed.startswith(git(checkout, "rev-parse", "HEAD").strip()) if pushes else not pushed
    stored = [sent.body for sent in beacon.at("POST /store")]
    assert len(stored) == attaches
    for body in stored:
        assert b"+changed" in body
        assert (b"-committed" in body, b"-one" in body) == (pushes, not pushes)
    (started,) = beacon.at(f"{path}/run")
    assert ("pending_user_artifact_ids" in started.json) is attaches


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes(beacon: Server, tmp_path: Path, shell: str) -> None:
    """Words and choices, by the key of a person; and nothing is printed where the server is broken."""
    if which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    beacon.always = Reply(500)
    change_profile("work", url="https://beacon.example", key="phx_secret")
    script = tmp_path / "completion"
    completed = shown(beacon, *TASKBEACON, "completion", shell)
    script.write_text(completed.text.replace("\r\n", "\n"))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    quiet = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    load = {"bash": "", "zsh": "autoload -U compinit; compinit -u; ", "fish": ""}[shell]
    terminal = Terminal([shell, *quiet, "-i"], environment(beacon, PATH=path, PS1="$ "))
    terminal.type(f"{load}source {script}; echo loa''ded\n")
    terminal.read_until("loaded")
    for typed, rest in (
        ("taskbeacon task arch", "ive"),
        ("taskbeacon run follow 1 --until wai", "ting"),
        ("taskbeacon run artifacts 1 --js", "on"),
        ("taskbeacon task list --json verd", "ict"),
        ("taskbeacon task list --json id,task_n", "umber"),
        ("taskbeacon status --profile wo", "rk"),
    ):
        terminal.type(f"{typed}\t")
        terminal.read_until(typed + rest)
        terminal.type("\x15")
    terminal.type("exit\n")
    assert "Traceback" not in terminal.end().text
    assert beacon.received == []


ATTACKS = (
    "\x1b[2J", "\x1b[7m", "\x1b]0;title\x07", "\x1b]52;c;ZXZpbA==\x1b\\", "\x9b2J", "\x90q\x9c", "\b" * 9, "\r", "\x7f",
    "\0", "\x05", "\x0e", "\x85", "\u061c", "\u200b", "\u200f", "\u202e", "\u2066", "\u2060", "\ufeff", "\ud800", "\n", "\t",
)  # fmt: skip
RANDOM = Random(35)  # noqa: S311 - the same in every run
HOSTILE = [f"<{number}>" + "".join(RANDOM.choices(ATTACKS, k=4)) + "é" for number in range(200)]
# What a terminal obeys or does not show, but for lines and tabs.
FORBIDDEN = re.compile(
    "[\0-\b\v-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
OWN_STYLES = re.compile(f"\x1b\\[(?:0|{'|'.join(_STYLES.values())})m")
# Runs all lines in one process, twice: with colours and without.
PROGRAM = """
import json, os, sys
from taskbeacon.cli import perform
codes = [perform(line) for line in json.loads(sys.argv[1])]
print("PLAIN", flush=True)
os.environ["NO_COLOR"] = "1"
codes += [perform(line) for line in json.loads(sys.argv[1])]
print(json.dumps(codes))
"""


def update(kind: str, **fields: Any) -> dict[str, Any]:
    return {"params": {"update": {"sessionUpdate": kind, **fields}}}


def entries(text: str) -> list[dict[str, Any]]:
    content = {"type": "text", "text": text}
    notifications = (
        {"method": "_taskbeacon/progress", "params": {"message": text}},
        update("tool_call", toolCallId=text, title=text),
        update("tool_call_update", toolCallId=text, status="failed", content=[{"content": content}]),
        update("agent_message", content=content),
        update("user_message", content=content),
    )
    return [{"type": "notification", "notification": each} for each in notifications]


def serve(beacon: Server, patch: bytes) -> None:
    every = "".join(HOSTILE)
    logged = [entry for text in HOSTILE for entry in entries(text)]
    files = [{"id": text, "name": text, "type": "output", "size": 3, "storage_path": "q"} for text in HOSTILE]
    changes = {"id": "p", "name": "changes.patch", "type": "output", "size": 3, "storage_path": "p"}
    reasons = [{"code": text, "check": text, "detail": text} for text in HOSTILE]
    run = RUN | {
        "status": "failed", "error_message": every, "branch": every, "output": {"head_branch": every, "pr_url": every},
        "verification": {"verdict": every, "reasons": reasons}, "artifacts": [*files, changes],
    }  # fmt: skip
    tasks = [TASK | {"title": text, "slug": text} for text in HOSTILE]
    questions = [
        {"id": text, "kind": text, "urgency": text, "task": {"slug": text}, "title": text, "run": {"id": text},
         "status": "open", "opened_at": text, "project_id": 12, "digest": text,
         "options": [{"id": "allow", "name": text}]}
        for text in HOSTILE
    ]  # fmt: skip
    asked = questions[0] | {"id": "q", "title": every, "run": {"id": "\U0010ffff"}, "kind": "permission"}
    events = [{"id": text, "type": text, "timestamp": text, "data": {"run_id": text}} for text in HOSTILE]
    beacon.on(f"GET {PROJECT}/resolve", answer({"task": TASK_ID, "run": RUN_ID}))
    beacon.on(f"GET {PROJECT}/tasks", answer({"next": None, "results": tasks}))
    beacon.on(
        f"GET {PROJECT}/tasks/{TASK_ID}",
        answer(tasks[0] | {"title": every, "description": every, "repository": every}),
    )
    beacon.on(f"POST {PROJECT}/tasks", answer(tasks[0] | {"slug": every}, 201))
    beacon.on("GET /api/users/@me/inbox", answer({"next": None, "results": [*questions, asked]}))
    beacon.on("POST /api/projects/12/questions/q/answer", answer({"status": "answered", "repeated": True}))
    beacon.on(f"PATCH {PROJECT}/tasks/{TASK_ID}", answer(tasks[0] | {"slug": every}))
    beacon.on("GET /api/users/@me", answer({"id": 4, "email": every, "team": {"id": 12}}))
    beacon.on("GET /api/projects", answer({"results": [{"id": 12, "name": every}]}))
    agents = [{"name": each, "available": True} for each in HOSTILE]
    beacon.on(f"GET {PROJECT}/agents", answer({"results": agents}))
    beacon.on("GET /livez", answer({"version": every}))
    beacon.on(f"GET {PATH}", answer(run))
    beacon.on(f"GET {PATH}/logs", Reply(body="\n".join(map(json.dumps, logged)).encode()))
    follow = [frame(entry, id_=f"0-{number}") for number, entry in enumerate(logged)]
    beacon.on(f"GET {PATH}/stream", stream(*follow, frame({"lost": every}, name="gap"), ENDED))
    beacon.on(f"GET {PATH}/diff", answer({"next": None, "files": [
        {"path": text, "additions": 1, "deletions": 0} for text in HOSTILE
    ]}))  # fmt: skip
    beacon.on(
        f"GET {PATH}/artifacts/download",
        lambda sent: Reply(body=patch if sent.query["storage_path"] == "p" else b"x"),
    )
    beacon.on(f"GET {PROJECT}/events/stream", *[
        stream(*(frame(each) for each in events)), failure(403, "permission_denied", detail=every)
    ] * 4)  # fmt: skip
    for number in range(0, 200, 40):
        beacon.on(
            f"GET {PROJECT}/{number}", failure(409, every, detail="".join(HOSTILE[number : number + 40]))
        )


def test_nothing_that_others_chose_is_obeyed_by_a_terminal(
    beacon: Server, checkout: Path, tmp_path: Path
) -> None:
    names = ["".join(each for each in text if each not in "\0\ud800/") for text in HOSTILE]
    serve(beacon, patch_of(checkout, lambda: [(checkout / name).write_text("new\n") for name in names]))
    lines: list[tuple[list[str], int]] = [
        (["task", "list", "--limit", "200"], 0),
        (["task", "view", TASK_ID], 0),
        (["task", "create", "Fix it"], 0),
        (["task", "archive", TASK_ID], 0),
        (["inbox"], 0),
        (["inbox", "--watch"], 4),
        (["answer", "@latest", "--option", "allow"], 0),
        (["answer", "@latest", "--option", "deny"], 2),
        (["status"], 0),
        (["run", "view", "1"], 0),
        (["run", "follow", "1"], 1),
        (["run", "log", "1"], 0),
        (["run", "diff", "1", "--stat"], 0),
        (["run", "diff", "1"], 0),
        (["run", "artifacts", "1"], 0),
        (["run", "artifacts", "1", "--download", str(tmp_path / "files")], 0),
        (["run", "apply", "1", "--3way"], 0),
        (["events", "listen"], 4),
        (["api", "GET", "tasks"], 0),
        *((["api", "GET", str(number)], 7) for number in range(0, 200, 40)),
    ]
    commands = json.dumps([line for line, _ in lines])
    text = shown(beacon, sys.executable, "-c", PROGRAM, commands, COLUMNS="500").text.replace("\r\n", "\n")
    coloured, _, plain = text.partition("PLAIN\n")
    *_, codes = plain.splitlines()
    assert json.loads(codes) == [code for _, code in lines] * 2, text[-3000:]
    assert OWN_STYLES.search(coloured)
    for found in (OWN_STYLES.sub("", coloured), plain):
        bad = FORBIDDEN.search(found)
        assert bad is None, (bad, found[max(0, bad.start() - 200) : bad.end() + 50])
        for number in range(200):
            assert found.count(f"<{number}>") >= 10
