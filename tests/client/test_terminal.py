"""The command `taskbeacon` in a terminal: presence, questions, sizes and colours."""

import os
import sys
from pathlib import Path
from shlex import join
from shutil import which

import pytest

from tests.client.server import PROJECT, Reply, Server, answer, failure, stream
from tests.client.terminal import TASKBEACON, Shown, Terminal
from tests.client.test_command_line import DONE, ENDED, ENTRY, PATH, RUN, RUN_ID, TASK_ID, follows

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


def test_a_question_is_answered_in_the_terminal_while_the_phone_answers_too(beacon: Server) -> None:
    """The second answer comes too late, and who won is told."""
    asked = RUN | {"state": {"waiting_for": {"kind": "permission", "since": "1"}}}
    again = RUN | {"state": {"waiting_for": {"kind": "permission", "since": "2"}}}
    question = {
        "id": "01890001-0000-7000-8000-000000000000", "project_id": 3, "digest": "d", "status": "open", "kind": "permission",
        "title": "May I\x1b[2J?", "detail": "rm -r build", "link": None, "link_host": None,
        "options": [{"id": "allow", "name": "Allow once"}, {"id": "deny", "name": "Deny"}],
    }  # fmt: skip
    path = f"POST /api/projects/3/questions/{question['id']}/answer"
    beacon.on(f"GET {PROJECT}/resolve", answer({"task": TASK_ID, "run": RUN_ID}))
    beacon.on(f"GET {PATH}", answer(asked), answer(asked), answer(again), answer(again), answer(DONE))
    beacon.on(f"GET {PATH}/stream", stream(ENTRY), stream(ENDED))
    beacon.on(f"GET {PATH}/questions", answer({"results": [question]}))
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


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes(beacon: Server, tmp_path: Path, shell: str) -> None:
    """Words and choices, by the key of a person; and nothing is printed where the server is broken."""
    if which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    beacon.always = Reply(500)
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
    ):
        terminal.type(f"{typed}\t")
        terminal.read_until(typed + rest)
        terminal.type("\x15")
    terminal.type("exit\n")
    assert "Traceback" not in terminal.end().text
    assert beacon.received == []
