"""The command `taskbeacon` in this process, and the scripted server in a thread."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from io import StringIO
from typing import Any, NamedTuple

import click
import pytest

from taskbeacon.cli import _SERVER, main, perform
from tests.client.server import Server, answer, serving

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


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> Any:
        return json.loads(self.err.splitlines()[-1])["error"]


Taskbeacon = Callable[..., Result]


@contextmanager
def in_a_thread() -> Generator[Server, None, None]:
    """The scripted server in a thread of its own: the command runs here."""
    ready = threading.Event()
    made: list[Any] = []

    async def serve() -> None:
        async with serving() as server:
            over = asyncio.Event()
            made.extend((server, asyncio.get_running_loop(), over))
            ready.set()
            await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    ready.wait()
    server, loop, over = made
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


@pytest.fixture
def beacon() -> Generator[Server, None, None]:
    with in_a_thread() as server:
        yield server


@pytest.fixture
def taskbeacon(
    beacon: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Taskbeacon:
    """Run a command in this process."""
    monkeypatch.setenv("TASKBEACON_URL", beacon.url)
    monkeypatch.setenv("TASKBEACON_TOKEN", "phx_secret")
    beacon.on("GET /api/users/@me", answer({"id": 4, "email": "a@example.com", "team": {"id": 12}}))

    def run(*arguments: str, text: str = "") -> Result:
        monkeypatch.setattr(sys, "stdin", StringIO(text))
        capsys.readouterr()
        code = perform(arguments)
        out, err = capsys.readouterr()
        assert "phx_secret" not in out + err
        return Result(code, out, err)

    return run


def commands(group: click.Group = main, *words: str) -> dict[str, click.Command]:
    """Return the commands that are not of the server, by their words."""
    found: dict[str, click.Command] = {}
    context = click.Context(group)
    of_server = {name for names in _SERVER.values() for name in names}
    for name in group.list_commands(context):
        if words or name not in of_server:
            command = group.get_command(context, name)
            assert command is not None
            if isinstance(command, click.Group):
                found |= commands(command, *words, name)
            else:
                found[" ".join([*words, name])] = command
    return found


def spawn(url: str, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
    variables = {"TASKBEACON_URL": url, "TASKBEACON_TOKEN": "phx_secret"}
    variables |= {name: options.pop(name) for name in list(options) if name.startswith("TASKBEACON_")}
    return subprocess.Popen(
        [sys.executable, *options.pop("program", ("-m", "taskbeacon.cli")), *arguments],
        env=os.environ | variables,
        stderr=subprocess.PIPE,
        text=True,
        **{"stdout": subprocess.PIPE, **options},
    )
