"""The command `taskbeacon` in a process of its own, in a terminal of a person or without one."""

import asyncio
import json
import os
import pty
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import pytest_asyncio

from app.models import Project
from tests.support.callers import CallerKind, Cast

TASKBEACON = (sys.executable, "-m", "taskbeacon.cli")


class Shown(NamedTuple):
    code: int
    # As a person sees it: with what obeys the terminal, and lines that end by \r\n.
    text: str


class Terminal:
    """A program as the only one in the foreground of a new terminal. Whoever makes it calls `end`."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.pid, self._at = pty.fork()
        if not self.pid:
            os.execvpe(command[0], list(command), {"TERM": "xterm", **environment})  # noqa: S606 - a process to test
        self.text = ""

    def read_until(self, text: str) -> None:
        """Read what is shown until this text is part of it."""
        seen = len(self.text)
        while text not in self.text[seen:]:
            piece = os.read(self._at, 4096)
            self.text += piece.decode(errors="replace")

    def type(self, text: str) -> None:
        os.write(self._at, text.encode())

    def close(self) -> int:
        """Take the terminal away; return how the program ends."""
        os.close(self._at)
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def end(self) -> Shown:
        """Read to the end of the program."""
        with suppress(OSError):  # how Linux tells it
            while piece := os.read(self._at, 4096):
                self.text += piece.decode(errors="replace")
        _, status = os.waitpid(self.pid, 0)
        os.close(self._at)
        return Shown(os.waitstatus_to_exitcode(status), self.text)


class Printing:
    """A command that prints a line of JSON at a time, and what it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[dict[str, Any]] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.lines.append(json.loads(line))

    async def end(self) -> int:
        await self._reading
        return await self._process.wait()

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self.end()


Print = Callable[..., Awaitable[Printing]]


@pytest_asyncio.fixture
async def printing(cast: Cast, project: Project) -> AsyncGenerator[Print, None]:
    """Start a command for a URL of the API, as the owner of the project."""
    key = cast.callers[CallerKind.OWNER].headers["Authorization"].removeprefix("Bearer ")
    started: list[Printing] = []

    async def start(url: str, *arguments: str) -> Printing:
        variables = {"TASKBEACON_URL": url, "TASKBEACON_TOKEN": key, "TASKBEACON_PROJECT": str(project.id)}
        process = await asyncio.create_subprocess_exec(
            *TASKBEACON, *arguments, env=os.environ | variables,
            stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        started.append(Printing(process))
        return started[-1]

    yield start
    for each in started:
        await each.kill()
