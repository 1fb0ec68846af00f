"""The command `taskbeacon` as a process: whatever becomes of its input, of connections, and of itself."""

import json
import os
import subprocess
import sys
from typing import Any

import click
import pytest

from taskbeacon.cli import _SERVER, main
from tests.client.server import PROJECT, Received, Reply, Server, answer, frame, stream
from tests.client.test_command_line import DONE, PATH, RUN, RUN_ID, TASK_ID, spawn
from tests.devstack.launchers import wait_for

# The rest of each command line; those without one here are groups.
LINES: dict[str, list[str]] = {
    "answer": ["@latest", "--option", "allow"],
    "api": ["GET", "tasks"],
    "completion": ["bash"],
    "events listen": ["--types", "run.*"],
    "help": [], "inbox": [], "login": [], "logout": [], "status": [], "task list": [], "version": [],
    "run apply": ["1"], "run artifacts": ["1"], "run cancel": ["1"], "run diff": ["1"], "run follow": ["1"],
    "run log": ["1"], "run send": ["1", "hello"], "run start": ["1"], "run verify": ["1"], "run view": ["1"],
    "task archive": ["1"], "task create": ["Fix it", "--follow"], "task open": ["1"], "task view": ["1"],
}  # fmt: skip
# Runs all lines in one process.
PROGRAM = """
import json, sys
from taskbeacon.cli import perform
for line in json.loads(sys.argv[1]):
    print(json.dumps([line, perform(line)]), file=sys.stderr)
"""


def commands(group: click.Group, *words: str) -> list[str]:
    found: list[str] = []
    context = click.Context(group)
    of_server = {name for names in _SERVER.values() for name in names}
    for name in group.list_commands(context):
        if words or name not in of_server:
            command = group.get_command(context, name)
            found += (
                commands(command, *words, name)
                if isinstance(command, click.Group)
                else [" ".join([*words, name])]
            )
    return found


@pytest.mark.parametrize("stdin", ["open", "closed"])
def test_no_command_waits_for_standard_input(beacon: Server, stdin: str) -> None:
    """Nor for anything else, when the server knows nothing: 5, or 7 where git is asked first."""
    assert sorted(LINES) == sorted(commands(main))
    lines = [[*name.split(), *rest] for name, rest in LINES.items()]
    program = [sys.executable, "-c", PROGRAM, json.dumps(lines)]
    command = program if stdin == "open" else ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *program]
    variables = {"TASKBEACON_URL": beacon.url, "TASKBEACON_TOKEN": "phx_secret"}
    read, write = os.pipe()
    with os.fdopen(read), os.fdopen(write, "w"):
        done = subprocess.run(
            command, stdin=read, env=os.environ | variables, capture_output=True, text=True, timeout=200, check=True
        )  # fmt: skip
    ended = {" ".join(line): code for line, code in map(json.loads, filter(is_row, done.stderr.splitlines()))}
    needless = {"completion bash", "help", "version", "logout"}
    assert {line for line, code in ended.items() if code == 0} == needless
    assert {line: code for line, code in ended.items() if code not in {0, 5}} == {}


def is_row(line: str) -> bool:
    return line.startswith("[[")


def test_twenty_cuts_lose_and_double_nothing(beacon: Server) -> None:
    """Each connection brings the next event, and breaks; one brings an event once more, one none."""

    def reply(received: Received) -> Reply:
        last = int(received.headers.get("last-event-id", "0-0")[2:])
        if last == 20:
            return stream(frame({"type": "task_run_state", "status": "completed"}, id_="1-21"))
        entries = [
            frame({"type": "x", "n": number}, id_=f"1-{number}") for number in (last, last + 1) if number
        ]
        return stream(*entries, cut=True)

    beacon.on(f"GET {PATH}/stream", reply)
    beacon.on(f"GET {PATH}", *[answer(RUN)] * 22, answer(DONE))
    beacon.on(f"GET {PROJECT}/resolve", answer({"task": TASK_ID, "run": RUN_ID}))
    with spawn(beacon.url, "run", "follow", RUN_ID, "--json") as process:
        out, _ = process.communicate(timeout=200)
    assert process.returncode == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["n"] for row in rows if row["type"] == "x"] == list(range(1, 21))
    assert len(beacon.at(f"GET {PATH}/stream")) == 21


def test_a_thousand_events_are_forwarded_over_a_kill(beacon: Server) -> None:
    """In order, and none is lost; the one under way at the kill may come twice, with its id."""

    def rows(received: Received) -> Reply:
        last = int(received.headers.get("last-event-id", "p0")[1:])
        frames = [
            frame(
                {"id": f"e{number}", "seq": number, "type": "run.started", "timestamp": "t", "data": {}},
                id_=f"p{number}",
            )
            for number in range(last + 1, 1001)
        ]
        return stream(*frames, frame({}, name="keepalive"))

    beacon.on(f"GET {PROJECT}/events/stream", rows)
    beacon.on("POST /hook", answer({}))

    def forwarded() -> list[str]:
        return [sent.headers["webhook-id"] for sent in beacon.at("POST /hook")]

    for most in (400, 1000):
        with spawn(beacon.url, "events", "listen", "--forward", f"{beacon.url}/hook") as process:
            wait_for(lambda most=most: len(set(forwarded())) >= most, seconds=200, what="events")  # type: ignore[misc]
            process.kill()
    came = forwarded()
    assert list(dict.fromkeys(came)) == [f"e{number}" for number in range(1, 1001)]
    assert len(came) <= 1001
    assert len(beacon.at(f"GET {PROJECT}/events/stream")) >= 2


def test_a_create_that_is_killed_makes_one_task(beacon: Server) -> None:
    """Between its request and the answer; by the same request id it is the same task."""
    tasks: dict[str, Any] = {}

    def create(received: Received) -> Reply:
        key = received.headers["idempotency-key"]
        first = key not in tasks
        tasks.setdefault(key, {"id": TASK_ID, "slug": "PLA-1"})
        return Reply(cut=True) if first else answer(tasks[key], 201, **{"Idempotent-Replayed": "true"})

    beacon.on(f"POST {PROJECT}/tasks", create)
    beacon.on("GET /api/users/@me", answer({"id": 4, "team": {"id": 12}}))
    line = ("task", "create", "Fix it", "--request-id", "k")
    with spawn(beacon.url, *line) as process:
        wait_for(lambda: bool(tasks), seconds=60, what="the request")
        process.kill()
    with spawn(beacon.url, *line) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out.startswith("PLA-1 "), list(tasks)) == (0, True, ["k"])
    assert "was used before" in err
