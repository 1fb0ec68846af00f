"""The command `taskbeacon` as a process: whatever becomes of its input, of connections, of the API, and of itself."""

import json
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from fcntl import F_SETPIPE_SZ, fcntl, ioctl
from functools import partial
from pathlib import Path
from termios import FIONREAD
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from app.clients.live_events.run_event_stream import stream_keys
from app.clients.redis import RedisClient
from app.config import Settings
from taskbeacon.client import verify_webhook
from taskbeacon.client.settings import config_file
from tests.client.command import LINES, commands, spawn
from tests.client.server import (
    PROJECT,
    Examples,
    Received,
    Reply,
    Server,
    answer,
    frame,
    serve_examples,
    stream,
)
from tests.client.terminal import Print, Printing
from tests.client.test_command_line import DONE, ENTRY, PATH, RUN, RUN_ID, TASK, TASK_ID
from tests.devstack.launchers import git, wait_for
from tests.support.assertions import concerning
from tests.support.deployment.processes import address_of, service_process
from tests.support.stand_ins.outage import interruptible
from tests.support.waiting import eventually
from tests.support.web.serving import serving

JSON = dict[str, Any]
# Runs all lines in one process.
PROGRAM = """
import json, sys
from taskbeacon.cli import perform
for line in json.loads(sys.argv[1]):
    print(json.dumps([line, perform(line)]), file=sys.stderr)
"""


@pytest.fixture(params=["open", "closed"])
def codes(request: pytest.FixtureRequest, beacon: Server, tmp_path: Path) -> Callable[[], dict[str, int]]:
    """Runs every command, with a pipe that nobody closes or a closed standard input; returns how each has ended."""
    assert sorted(LINES) == sorted(commands())
    git(tmp_path, "init", "--quiet")
    (browser := tmp_path / "xdg-open").write_text('#!/bin/sh\necho "$1" > page\n')
    browser.chmod(0o755)

    def run() -> dict[str, int]:
        lines = [[*name.split(), *rest] for name, rest in LINES.items()]
        program = [sys.executable, "-c", PROGRAM, json.dumps(lines)]
        is_open = request.param == "open"
        command = program if is_open else ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *program]
        variables = {"TASKBEACON_URL": beacon.url, "TASKBEACON_TOKEN": "phx_secret"}
        variables["TASKBEACON_PROJECT"] = "@current"  # also behind `login`, which stores a number
        variables["PATH"] = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
        read, write = os.pipe()
        with os.fdopen(read), os.fdopen(write, "w"):
            done = subprocess.run(
                command, stdin=read, env=os.environ | variables, cwd=tmp_path, capture_output=True, text=True,
                timeout=200, check=True,
            )  # fmt: skip
        rows = map(json.loads, filter(is_row, done.stderr.splitlines()))
        return {" ".join(line): code for line, code in rows}

    return run


def test_no_command_waits_for_standard_input(codes: Callable[[], dict[str, int]]) -> None:
    """Nor for anything else, when the server knows nothing."""
    ended = codes()
    needless = {"completion bash", "help", "version", "logout"}
    assert {line for line, code in ended.items() if code == 0} == needless
    assert {line: code for line, code in ended.items() if code not in {0, 5}} == {}


def test_no_command_waits_where_the_server_answers_well(
    codes: Callable[[], dict[str, int]], beacon: Server, shared_application: FastAPI, tmp_path: Path
) -> None:
    serve_examples(beacon, Examples(shared_application.openapi()))
    assert {line: code for line, code in codes().items() if code} == {"events listen --types run.*": 4}
    assert (tmp_path / "new.txt").read_text() == "one\n"
    assert config_file().exists()


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
    """In order, none is lost, and all by one secret; the one under way at the kill may come twice, with its id."""

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

    def has_received(number: int) -> bool:
        return len(set(forwarded())) >= number

    for most in (400, 1000):
        with spawn(beacon.url, "events", "listen", "--forward", f"{beacon.url}/hook") as process:
            wait_for(partial(has_received, most), seconds=200, what="events")
            process.kill()
    secret = (config_file().parent / "forward-secret").read_text()
    for sent in beacon.at("POST /hook"):
        assert verify_webhook(sent.body, sent.headers, secret)["id"] == sent.headers["webhook-id"]
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


def numbers(follow: Printing) -> list[int]:
    entries = [line["notification"]["params"] for line in follow.lines if "notification" in line]
    return [each["n"] for each in entries if "n" in each]


async def has_printed(follow: Printing, number: int) -> None:
    await eventually(lambda: number in numbers(follow))


class Worked:
    """A run whose agent is this test: it writes numbered entries into the log."""

    def __init__(self, client: httpx.AsyncClient, url: str, run: JSON) -> None:
        self._client, self._url, self.run = client, url, run

    async def log(self, *numbers: int) -> None:
        entries = [
            {
                "type": "notification",
                "timestamp": "2026-01-01T00:00:00Z",
                "notification": {"method": "x", "params": {"n": number}},
            }
            for number in numbers
        ]
        answer = await self._client.post(f"{self._url}/append_log", json={"entries": entries})
        assert answer.is_success, answer.text

    async def complete(self) -> list[int]:
        """End the run; return the numbers that its log has."""
        assert (await self._client.patch(self._url, json={"status": "completed"})).is_success
        text = (await self._client.get(f"{self._url}/logs")).text
        entries = [json.loads(line) for line in text.splitlines()]
        return [each["notification"]["params"]["n"] for each in entries]


@pytest_asyncio.fixture
async def worked(client: httpx.AsyncClient, tasks_url: str) -> Worked:
    task = (await client.post(tasks_url, json={"title": "Follow me"})).json()
    run = (await client.post(f"{tasks_url}/{task['id']}/run", json={})).json()["latest_run"]
    return Worked(client, f"{tasks_url}/{task['id']}/runs/{run['id']}", run)


def assert_whole(follow: Printing, logged: list[int], *, lost: int = 0) -> None:
    """What was printed is the log, but for the gap; and nothing came twice."""
    printed = numbers(follow)
    assert printed == [number for number in logged if number in printed]
    assert len(logged) - len(printed) == lost
    ids = [line["event_id"] for line in follow.lines if line["type"] not in {"run", "gap", "end", "waiting"}]
    assert len(ids) == len(set(ids))
    assert [line["lost"] for line in follow.lines if line["type"] == "gap"] == [lost] * (lost > 0)
    assert (follow.lines[-1]["reason"], follow.lines[-1]["exit_code"]) == ("terminal", 0)


async def test_a_proxy_that_ends_streams_loses_and_doubles_nothing(
    application: FastAPI, worked: Worked, printing: Print, redis: RedisClient
) -> None:
    """It ends them each time when something has come; what is trimmed meanwhile is a gap."""
    async with serving(application) as api, interruptible(api) as proxy:
        follow = await printing(proxy.url, "run", "follow", worked.run["id"], "--json")
        for number in range(8):
            await worked.log(number)
            await has_printed(follow, number)
            await proxy.cut()
        await proxy.refuse()
        await worked.log(8, 9, 10, 11)
        await redis.xtrim(stream_keys(UUID(worked.run["id"]))[0], maxlen=1, approximate=False)
        await proxy.resume()
        await has_printed(follow, 11)
        logged = await worked.complete()
        assert await follow.end() == 0
        assert_whole(follow, logged, lost=3)


async def test_an_api_that_is_restarted_loses_and_doubles_nothing(
    application: FastAPI, settings: Settings, worked: Worked, printing: Print, tmp_path: Path
) -> None:
    """It stops as an operator stops it, and the run goes on while it is away; this process is the next one."""
    with service_process("serve --port 0", settings=settings, log=tmp_path / "api.log") as process:
        async with interruptible(await address_of(process)) as proxy, serving(application) as behind:
            follow = await printing(proxy.url, "run", "follow", worked.run["id"], "--json")
            await worked.log(0)
            await has_printed(follow, 0)
            assert await process.stop() == 0
            await worked.log(1, 2)
            proxy.aim(behind)
            await worked.log(3)
            await has_printed(follow, 3)
            logged = await worked.complete()
            assert await follow.end() == 0
            assert_whole(follow, logged)
            assert logged == [0, 1, 2, 3]


def test_a_follow_has_a_time(beacon: Server) -> None:
    state = frame({"type": "task_run_state", "status": "in_progress"})
    beacon.on(f"GET {PATH}/stream", stream(state, ENTRY))
    beacon.on(f"GET {PATH}", answer(RUN | {"status": "queued"}))
    beacon.on(f"GET {PROJECT}/resolve", answer({"task": TASK_ID, "run": RUN_ID}))
    with spawn(beacon.url, "run", "follow", RUN_ID, "--timeout", "2s", "--json") as process:
        out, err = process.communicate(timeout=60)
    end = json.loads(out.splitlines()[-1])
    assert (end["type"], end["status"]) == ("end", "in_progress")
    assert (process.returncode, end["reason"], end["exit_code"]) == (124, "timeout", 124)
    assert (
        json.loads(err)["error"]["resume"] == end["resume"] == f"taskbeacon run follow {RUN_ID} --after 1-1"
    )


@pytest.mark.parametrize("as_json", [True, False])
def test_a_signal_leaves_the_run_and_says_how_to_go_on(beacon: Server, *, as_json: bool) -> None:
    beacon.on(f"GET {PATH}/stream", stream(ENTRY))
    beacon.on(f"GET {PATH}", answer(RUN))
    beacon.on(f"GET {PROJECT}/resolve", answer({"task": TASK_ID, "run": RUN_ID}))
    resume = f"taskbeacon run follow {RUN_ID} --after 1-1"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with spawn(beacon.url, "run", "follow", RUN_ID, *["--json"] * as_json) as process:
            assert process.stdout is not None
            while ('"1-1"' if as_json else "Cloning") not in process.stdout.readline():
                pass
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
        assert process.returncode == 130
        if as_json:
            assert json.loads(out.splitlines()[-1])["reason"] == "interrupted"
            assert json.loads(err)["error"]["resume"] == resume
        else:
            assert (out, err.splitlines()[-2:]) == ("", ["taskbeacon: interrupted; the run goes on", resume])
    assert not [sent for sent in beacon.received if sent.method != "GET"]


def test_a_reader_that_goes_leaves_the_run(beacon: Server) -> None:
    """As `head` does. The next event finds it gone."""
    has_gone = threading.Event()
    state = frame({"type": "task_run_state", "status": "in_progress"}, id_="1-2")

    def rest(_: Received) -> Reply:
        has_gone.wait(60)
        return stream(ENTRY.replace(b"1-1", b"1-3"), state)

    beacon.on(f"GET {PATH}/stream", stream(ENTRY), rest)
    beacon.on(f"GET {PATH}", answer(RUN))
    beacon.on(f"GET {PROJECT}/resolve", answer({"task": TASK_ID, "run": RUN_ID}))
    for options in ([], ["--json"]):
        has_gone.clear()
        beacon.reset(f"GET {PATH}/stream", stream(ENTRY), rest)
        with spawn(beacon.url, "run", "follow", RUN_ID, *options) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            has_gone.set()
            assert process.wait(timeout=60) == 0
            assert process.stderr.read().splitlines() == [f"Run {RUN_ID}"] * (not options)
    assert {sent.method for sent in beacon.received} == {"GET"}


# As if a signal had come when the HTTP library held its locks: once there is a file, none of them is ever free.
HELD = """
import sys, threading, time
from inspect import currentframe
from pathlib import Path

new_lock, held = threading.Lock, Path(sys.argv.pop(1))

class Held:
    def __init__(self):
        self.lock = new_lock()
        self.release = self.lock.release

    def acquire(self):
        while held.exists():
            time.sleep(0.01)
        return self.lock.acquire()

def lock():
    return Held() if currentframe().f_back.f_globals["__name__"].startswith("httpcore.") else new_lock()

threading.Lock = lock
from taskbeacon.cli import run
run()
"""


def test_a_signal_ends_a_follow_whose_libraries_wait_for_ever(beacon: Server, tmp_path: Path) -> None:
    beacon.on(f"GET {PATH}/stream", stream(ENTRY))
    beacon.on(f"GET {PATH}", answer(RUN))
    beacon.on(f"GET {PROJECT}/resolve", answer({"task": TASK_ID, "run": RUN_ID}))
    held = tmp_path / "held"
    words = ["run", "follow", RUN_ID, "--json"]
    with spawn(beacon.url, *words, program=["-c", HELD, str(held)]) as process:
        assert process.stdout is not None
        while '"1-1"' not in process.stdout.readline():
            pass
        held.touch()
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, json.loads(out.splitlines()[-1])["reason"]) == (130, "interrupted")
    assert json.loads(err)["error"]["resume"] == f"taskbeacon run follow {RUN_ID} --after 1-1"


def test_a_signal_ends_a_follow_that_nobody_reads(beacon: Server) -> None:
    """Its pipe is full, and stays so. What is not printed whole comes again."""
    read, write = os.pipe()
    fcntl(write, F_SETPIPE_SZ, 4096)
    frames = [frame({"type": "x", "text": "x" * 5000}, id_=f"1-{number}") for number in range(1, 20)]
    beacon.on(f"GET {PATH}/stream", stream(*frames))
    beacon.on(f"GET {PATH}", answer(RUN))
    beacon.on(f"GET {PROJECT}/resolve", answer({"task": TASK_ID, "run": RUN_ID}))
    with os.fdopen(read), spawn(beacon.url, "run", "follow", RUN_ID, "--json", stdout=write) as process:
        os.close(write)
        try:
            wait_for(lambda: waiting_bytes(read) > 1000, seconds=60, what="a part of a line")
            process.terminate()
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert json.loads(err)["error"]["resume"] == f"taskbeacon run follow {RUN_ID}"


def waiting_bytes(pipe: int) -> int:
    (size,) = struct.unpack("i", ioctl(pipe, FIONREAD, bytes(4)))
    return int(size)


def test_a_reader_that_goes_and_standard_input_that_stays(beacon: Server) -> None:
    beacon.on(f"GET {PROJECT}/tasks", answer({"next": None, "results": [TASK]}))
    read, write = os.pipe()
    os.close(read)
    with spawn(beacon.url, "api", "GET", "tasks", stdout=write) as process:
        os.close(write)
        assert process.wait(timeout=60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    with Path("/dev/full").open("w") as full:
        for command in (["api", "GET", "tasks"], ["task", "list"], ["--help"]):
            with spawn(beacon.url, *command, stdout=full) as process:
                _, err = process.communicate(timeout=60)
            assert (process.returncode, err) == (2, "taskbeacon: the output: No space left on device\n")
    # A pipe that nobody closes.
    with spawn(beacon.url, "api", "GET", "tasks", stdin=subprocess.PIPE) as process:
        assert process.wait(timeout=60) == 0


def test_closed_standard_input(beacon: Server) -> None:
    beacon.on("GET /api/users/@me", answer({"id": 4, "team": {"id": 12}}))
    for command in (
        ["login", "--url", beacon.url, "--with-token"],
        ["task", "create", "-"],
        ["api", "POST", "tasks", "--input", "-"],
    ):
        done = subprocess.run(
            ["/bin/sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-m", "taskbeacon.cli", *command],
            env=os.environ | {"TASKBEACON_URL": beacon.url, "TASKBEACON_TOKEN": "phx_secret"},
            capture_output=True,
            text=True,
            check=False,
        )
        with concerning(command):
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr == "taskbeacon: standard input is closed\n"
