"""Runs the commands and services of one clone in one sandbox, through its supervisor (supervisor.py)."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.agents.agent_folders import AgentFolders
from app.agents.check_execution.supervisor import ANSWER, ENDED, KEPT_BYTES, NOT_STARTED, READY, Request
from app.agents.sandbox.confined_process import ConfinedProcess
from app.coroutines.shielded import shielded
from app.enums import CheckCause
from app.verdicts.definitions import Check, Step

# These must be readable in the sandbox.
PROGRAM = Path(__file__).with_name("supervisor.py")
_PYTHON = os.path.realpath(sys.executable)
# The head and the tail of an output, with a note between them about what is left out.
_MOST_BYTES = 2 * KEPT_BYTES + 2**10
# The additional time for the supervisor to end a command at its limit, and to answer.
_ANSWER_SECONDS = 5.0

# Starts a command in a sandbox, which inherits `descriptors`.
Start = Callable[..., Awaitable[ConfinedProcess]]


class SandboxEnded(Exception):
    """The sandbox of the commands has ended, with all its processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandEnd:
    """How a command ended: with a code, by a limit of its sandbox, or not started; else it ran out of time."""

    code: int | None = None
    failed: int | None = None  # the `errno` of its start
    cause: CheckCause | None = None  # why its sandbox was ended
    is_ready: bool = False  # for a service, which runs on and has no code
    output: bytes = b""  # its beginning and its end


def request_for(command: Step | Check, places: AgentFolders, variables: Mapping[str, str]) -> Request:
    """Return the request to run a check or a step of set-up, in a sandbox with these places, with these variables."""
    request: Request = {
        "command": command.run or ("bash", "-euo", "pipefail", "-c", command.shell or ""),
        "directory": str(places.work / command.cwd),
        "environment": variables,
        "seconds": command.timeout_seconds,
    }
    if isinstance(command, Step) and command.background:
        request |= {"ready": command.ready}
    return request


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands of one clone. They run one after the other, beside services, until the sandbox ends."""

    _process: ConfinedProcess
    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter

    async def execute(self, request: Request) -> CommandEnd:
        """Run a command to its end, or start a service and wait until it is ready. Raises SandboxEnded."""
        try:
            async with asyncio.timeout(request["seconds"] + _ANSWER_SECONDS):
                self._send(request)
                outcome, number, size = ANSWER.unpack(await self._reader.readexactly(ANSWER.size))
                if size > _MOST_BYTES:
                    raise SandboxEnded
                output = await self._reader.readexactly(size)
        except (OSError, asyncio.IncompleteReadError) as error:  # TimeoutError is an OSError
            raise SandboxEnded from error
        return CommandEnd(
            code=number if outcome == ENDED else None,
            failed=number if outcome == NOT_STARTED else None,
            is_ready=outcome == READY,
            output=output,
        )

    def become(self, command: Sequence[str], directory: str) -> ConfinedProcess:
        """Make the sandbox's first process this command, with its streams and variables, beside the services."""
        self._send({"become": command, "directory": directory})
        self._writer.close()
        return self._process

    def _send(self, request: Mapping[str, object]) -> None:
        self._writer.write(json.dumps(request).encode() + b"\n")

    async def stop(self) -> None:
        self._writer.close()
        await shielded(self._process.stop(0))


async def start_commands(start: Start) -> Commands:
    """Start a sandbox for commands, by what starts the supervisor in it."""
    own_end, program_end = socket.socketpair()
    with program_end:
        reader, writer = await asyncio.open_unix_connection(sock=own_end)
        try:
            descriptor = program_end.fileno()
            command = (_PYTHON, "-I", "-S", str(PROGRAM), str(descriptor))
            return Commands(await start(command, descriptors=[descriptor]), reader, writer)
        except BaseException:
            writer.close()
            raise
