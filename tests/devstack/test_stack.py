"""`taskbeacon dev` as a person has it: start, a second one, stop, kill, start again."""

import json
import re
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.devstack.home import Home
from tests.devstack.command_line_guide import run_guide, write_shop
from tests.devstack.launchers import clean_environment, ended, git, launcher, run_source, snapshot, wait_for
from tests.devstack.snippets import run_snippets
from tests.support.deployment.command_line import run_taskbeacon

DEV = ("-m", "app.cli", "dev")
DEV_JSON_KEYS = {
    "base_url",
    "database_url",
    "redis_url",
    "s3_endpoint_url",
    "s3_bucket",
    "project_id",
    "user_id",
    "api_key",
    "pids",
}

HEAD = """
import os, signal, sys
from app.devstack.errors import StopRequested
from app.devstack.processes import Supervisor, end_with_make
from app.devstack.stack import stop_on_signals
"""
WAITING = f"""{HEAD}
end_with_make()
supervisor = Supervisor()
with stop_on_signals(supervisor):
    print("waiting", flush=True)
    try:
        supervisor.wait(lambda: False, what="a signal", timeout=60)
    except StopRequested:
        print("asked to stop", flush=True)
"""
# Below `nohup` the tests inherit SIGHUP as ignored, which stays so.
SIGNALLED = f"""{HEAD}
signal.signal(signal.SIGHUP, signal.SIG_DFL)
for number in sys.argv[1:]:
    supervisor = Supervisor()
    with stop_on_signals(supervisor):
        os.kill(os.getpid(), int(number))
        try:
            supervisor.wait(lambda: False, what="a signal", timeout=100)
        except StopRequested:
            print("asked to stop by", number)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
supervisor = Supervisor()
with stop_on_signals(supervisor):
    os.kill(os.getpid(), signal.SIGHUP)
    supervisor.wait(iter([False, True]).__next__, what="nothing", timeout=60)
    print("went on under nohup")
"""
MAKE = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(600)


@contextmanager
def stack(home: Path) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    """A running stack and its `dev.json`."""
    output, dev_json = home.with_suffix(".output"), home / "dev.json"
    dev_json.unlink(missing_ok=True)
    environment = clean_environment(
        TASKBEACON_HOME=str(home), PORT="0", TASKBEACON_GIT_BASE_URL=(home.parent / "git").as_uri()
    )
    with launcher(*DEV, output=output, environment=environment) as process:

        def announced() -> bool:
            assert process.poll() is None, output.read_text()
            return dev_json.exists()

        wait_for(announced, seconds=180, what="dev.json")
        yield process, json.loads(dev_json.read_text())


def test_life_of_a_stack(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with stack(home) as (process, dev):
        assert dev.keys() == DEV_JSON_KEYS
        assert stat.S_IMODE((home / "dev.json").stat().st_mode) == 0o600
        assert dev["pids"].keys() == {
            "launcher", "postgres", "valkey", "seaweedfs", "api", "worker", "expo_sink"
        }  # fmt: skip
        assert dev["pids"]["launcher"] == process.pid
        joined = json.loads(Home(home).environment_json.read_text())
        assert joined["TASKBEACON_PUBLIC_URL"] == dev["base_url"]
        first_key = use(dev)
        has_curl = shutil.which("curl") is not None
        if has_curl:
            run_snippets(home, run_pasted(home, dev))
        write_shop(tmp_path)
        run_guide(tmp_path / "reader", dev)
        try_repository(home, tmp_path / "my project")
        refuse_second(home, process.pid)
        family = snapshot([process.pid])
        assert set(dev["pids"].values()) <= family.keys()

        process.kill()

        process.wait()
        wait_for(lambda: ended(family), seconds=60, what="the end of all processes of a killed launcher")

    shown = home.with_suffix(".output").read_text()
    assert all(text in shown for text in (dev["base_url"], f"{dev['base_url']}/docs", first_key))
    with stack(home) as (process, dev):
        assert dev["pids"]["launcher"] == process.pid
        assert use(dev) == first_key
        family = snapshot([process.pid])

        process.send_signal(signal.SIGTERM)

        assert process.wait(100) == 0
        wait_for(lambda: ended(family), seconds=60, what="the end of all processes")
        assert not (home / "dev.json").exists()
    last = home.with_suffix(".output").read_text().splitlines()[-1]
    assert re.fullmatch(rf"Stopped after \d+\.\d s; the data is in {home}", last)
    if not has_curl:
        pytest.skip("curl is not installed: all but the commands for readers was tried")


def use(dev: dict[str, Any]) -> str:
    """Use the stack as a client does; return the key."""
    headers = {"Authorization": f"Bearer {dev['api_key']}"}
    with httpx.Client(base_url=dev["base_url"], headers=headers, timeout=120) as client:
        me = client.get("/api/users/@me/").json()
        task = client.post("/api/projects/@current/tasks/", json={"description": "Say hello"})
    assert (me["id"], me["is_staff"]) == (dev["user_id"], True)
    assert task.status_code == 201
    return str(dev["api_key"])


def run_pasted(home: Path, dev: dict[str, Any]) -> str:
    """Paste what the launcher printed for another terminal; return its line for the requests of README.md."""
    output = home.with_suffix(".output")
    wait_for(lambda: "Ctrl-C stops everything" in output.read_text(), seconds=60, what="the welcome")
    shown = output.read_text()
    (export,) = re.findall(r"^ +(export KEY=.+)$", shown, re.MULTILINE)
    (attempt,) = re.findall(r"^ +(.+ try) \S+$", shown, re.MULTILINE)
    assert attempt.startswith(f"TASKBEACON_HOME={home} ")
    listed = subprocess.run(
        ["sh", "-c", f"env {attempt} --help"], capture_output=True, text=True, check=False
    )
    assert "REPOSITORY" in listed.stdout, listed.stderr
    answer = httpx.options(
        f"{dev['base_url']}/api/users/@me/",
        timeout=120,
        headers={"Origin": "http://localhost:5173", "Access-Control-Request-Method": "GET"},
    )
    assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
    return str(export)


def try_repository(home: Path, checkout: Path) -> None:
    """Have the built-in agent work on a checkout with a change of its reader's, which stays as it is."""
    checkout.mkdir()
    git(checkout, "init", "--quiet", "--initial-branch=trunk")
    (checkout / "notes.txt").write_text("first\n")
    (checkout / ".taskbeacon").mkdir()
    strict = '[[check]]\nid = "done"\nrun = ["test", "-f", "missing"]\ngate = "strict"\nretries = 0\n'
    (checkout / ".taskbeacon/checks.toml").write_text(strict)
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "First")
    (checkout / "notes.txt").write_text("mine\n")
    before = git(checkout, "status", "--porcelain=v2", "--branch")

    shown = run_taskbeacon("try", str(checkout), TASKBEACON_HOME=str(home))

    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "not committed stay out" in shown.stdout
    # Regression: it was somewhere in the JSON of the output.
    assert "  verdict: refuted\n    done: check failed: exit code 1\n" in shown.stdout
    assert '"verification"' not in shown.stdout
    assert re.search(r"http://127\.0\.0\.1:\d+/console/projects/\d+/tasks/[0-9a-f-]{36}\n", shown.stdout)
    found = re.search(r"Branch (taskbeacon/\S+) is in ", shown.stdout)
    assert found is not None, shown.stdout
    assert git(checkout, "diff", "--name-only", f"trunk...{found[1]}") == "REPOSITORY-MAP.md"
    assert git(checkout, "status", "--porcelain=v2", "--branch") == before
    assert git(checkout, "branch", "--format=%(refname:short)").split() == [found[1], "trunk"]
    failing = run_taskbeacon("try", str(checkout), "```sh\nexit 3\n```", TASKBEACON_HOME=str(home))
    assert failing.returncode == 1
    assert "failed" in failing.stdout
    assert "null" not in failing.stdout
    assert "Traceback" not in failing.stderr


def refuse_second(home: Path, first: int) -> None:
    output = home.with_suffix(".second")
    environment = clean_environment(TASKBEACON_HOME=str(home), PORT="0")
    with launcher(*DEV, output=output, environment=environment) as second:
        assert second.wait(100) == 1
    assert f"already runs in {home} (process {first}" in output.read_text()
    assert (home / "dev.json").exists()


def test_signals_ask_for_an_orderly_stop_but_a_hangup_under_nohup() -> None:
    numbers = [str(int(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]

    printed = run_source(SIGNALLED, *numbers).stdout.splitlines()

    assert printed == [*(f"asked to stop by {number}" for number in numbers), "went on under nohup"]


def test_launcher_stops_with_the_make_that_started_it(tmp_path: Path) -> None:
    output = tmp_path / "output"
    environment = clean_environment(MAKELEVEL="1")
    with launcher("-c", MAKE, WAITING, output=output, environment=environment) as make:
        wait_for(lambda: b"waiting" in output.read_bytes(), seconds=60, what="the launcher")
        family = snapshot([make.pid])
        make.kill()
        make.wait()
        wait_for(lambda: ended(family), seconds=60, what="the launcher's end")

    assert len(family) == 2
    assert b"asked to stop" in output.read_bytes()


def test_taken_port_is_refused_before_anything_starts(tmp_path: Path) -> None:
    output, home = tmp_path / "output", tmp_path / "home"
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))
        taker.listen()
        port = taker.getsockname()[1]
        environment = clean_environment(TASKBEACON_HOME=str(home), PORT=str(port))
        with launcher(*DEV, output=output, environment=environment) as process:
            assert process.wait(100) == 1

    assert f"port {port} on 127.0.0.1 is taken" in output.read_text()
    assert "PORT=0" in output.read_text()
    assert not (home / "postgres").exists()
