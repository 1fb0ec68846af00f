"""Runs the commands of one clone in one sandbox, with its services, from the worker's side (supervisor.py)."""

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from app.agents.sandbox.confined_process import ConfinedProcess
from app.shielded import shielded
from app.verification.definitions import Step

# What the sandbox must show for the commands in it.
PROGRAM = Path(__file__).with_name("supervisor.py")
_PYTHON = os.path.realpath(sys.executable)
_KEPT_BYTES = 5 * 2**20
_CUT = b"\n[... %d bytes are left out here ...]\n"
_READ_BYTES = 2**16
_END_SECONDS = 5.0
_READY_PAUSE_SECONDS = 0.2


class SandboxEnded(Exception):
    """The sandbox of the commands has ended, with all its processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandEnd:
    """How a command ended: by itself with a code, or because it ran out of time, or it could not be started."""

    code: int | None = None
    failed: int | None = None  # the `errno` of its start
    output: bytes = b""  # head and tail


class CommandOutput:
    """Reads the output of a command, and keeps its head and its tail, 5 MiB each."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._is_at_end = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._reader, self._read)

    def _read(self) -> None:
        chunk = os.read(self._reader, _READ_BYTES)
        if not chunk:
            self.close()
            return
        room = _KEPT_BYTES - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:] if room > 0 else chunk
        if (excess := len(self._tail) - _KEPT_BYTES) > 0:
            del self._tail[:excess]
            self._left_out += excess

    def close(self) -> None:
        """Read no more. Can be called again."""
        if not self._is_at_end.is_set():
            self._is_at_end.set()
            asyncio.get_running_loop().remove_reader(self._reader)
            os.close(self._reader)

    async def read(self) -> bytes:
        """Wait for the end of the output, and return what is kept of it."""
        await self._is_at_end.wait()
        return self.kept

    @property
    def kept(self) -> bytes:
        cut = _CUT % self._left_out if self._left_out else b""
        return bytes(self._head + cut + self._tail)


class Commands:
    """The commands of one clone. They run one after the other, beside services, until the sandbox ends."""

    def __init__(self, process: ConfinedProcess, control: socket.socket) -> None:
        self.process = process
        self._control = control
        self._received = b""
        self._outputs: list[CommandOutput] = []
        self._services: dict[int, CommandOutput] = {}

    async def run(
        self, command: Sequence[str], directory: str, environment: Mapping[str, str], *, seconds: float
    ) -> CommandEnd:
        """Run a command to its end, or for so many seconds. Raises SandboxEnded."""
        output = CommandOutput()
        try:
            answer = await self._within(seconds, {"run": command}, directory, environment, output)
            kept = await output.read()
        finally:
            output.close()
        if answer is None:
            return CommandEnd(output=kept)
        return CommandEnd(code=answer.get("code"), failed=answer.get("failed"), output=kept)

    async def serve(
        self,
        command: Sequence[str],
        directory: str,
        environment: Mapping[str, str],
        *,
        is_watched: bool = True,
    ) -> int | None:
        """Start a service; return its number, None if it could not be started. Raises SandboxEnded.

        If it is not `is_watched`, its output is dropped.
        """
        output = CommandOutput() if is_watched else None
        await self._send({"serve": command}, directory, environment, output)
        number: int | None = (await self._receive()).get("service")
        if output is not None:
            self._outputs.append(output)
            if number is not None:
                self._services[number] = output
        return number

    async def exit_code(self, service: int) -> int | None:
        """Return the exit code of a service, None while it runs. Raises SandboxEnded."""
        await self._write({"ended": service})
        code: int | None = (await self._receive())["code"]
        return code

    def output_of(self, service: int) -> bytes:
        """Return the output of a service so far, if it is watched."""
        return self._services[service].kept if service in self._services else b""

    async def become(self, command: Sequence[str], directory: str) -> None:
        """Make the sandbox's first process this command, with its streams and variables, beside the services."""
        await self._write({"become": command, "directory": directory})
        self._control.close()

    def close(self) -> None:
        for output in self._outputs:
            output.close()
        self._control.close()

    async def _within(
        self,
        seconds: float,
        request: Mapping[str, Any],
        directory: str,
        environment: Mapping[str, str],
        output: CommandOutput,
    ) -> dict[str, Any] | None:
        await self._send(request, directory, environment, output)
        receiving = asyncio.ensure_future(self._receive())
        try:
            done, _ = await asyncio.wait((receiving,), timeout=seconds)
            if done:
                return receiving.result()
            await self._write({"end": True})
            async with asyncio.timeout(_END_SECONDS):
                await receiving
        except TimeoutError:
            raise SandboxEnded from None
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
        return None

    async def _send(
        self,
        request: Mapping[str, Any],
        directory: str,
        environment: Mapping[str, str],
        output: CommandOutput | None,
    ) -> None:
        message = {**request, "directory": directory, "environment": dict(environment)}
        if output is None:
            await self._write(message)
            return
        try:
            await self._write(message, output.writer)
        finally:
            os.close(output.writer)

    async def _write(self, message: Mapping[str, Any], descriptor: int | None = None) -> None:
        line = json.dumps(message).encode() + b"\n"
        loop = asyncio.get_running_loop()
        try:
            if descriptor is not None:
                # One byte carries the descriptor: the socket never holds more requests than one.
                socket.send_fds(self._control, [line[:1]], [descriptor])
                line = line[1:]
            await loop.sock_sendall(self._control, line)
        except OSError as error:
            raise SandboxEnded from error

    async def _receive(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        while b"\n" not in self._received:
            try:
                content = await loop.sock_recv(self._control, _READ_BYTES)
            except OSError as error:
                raise SandboxEnded from error
            if not content:
                raise SandboxEnded
            self._received += content
        line, _, self._received = self._received.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Start(Protocol):
    """Starts a command that inherits descriptors in a sandbox."""

    async def __call__(
        self, command: Sequence[str], *, descriptors: Sequence[int] = ()
    ) -> ConfinedProcess: ...


async def start_commands(start: Start) -> Commands:
    """Start a sandbox for commands by `start`, which is given the supervisor's command and its descriptors."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)  # noqa: FBT003 - positional only
    try:
        process = await start(
            (_PYTHON, "-I", "-S", str(PROGRAM), str(theirs.fileno())), descriptors=[theirs.fileno()]
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return Commands(process, ours)


@asynccontextmanager
async def open_commands(start: Start) -> AsyncIterator[Commands]:
    """Start a sandbox for commands, as `start_commands`; all its processes have ended after the block."""
    commands = await start_commands(start)
    try:
        yield commands
    finally:
        commands.close()
        await shielded(commands.process.stop(0))


async def start_service(
    commands: Commands, step: Step, directory: str, environment: Mapping[str, str], *, is_watched: bool = True
) -> tuple[bytes, str]:
    """Start a service and wait until it is ready; return its output, and why it failed, or "". Raises SandboxEnded."""
    words = words_of(step.run, step.shell)
    number = await commands.serve(words, directory, environment, is_watched=is_watched)
    if number is None:
        return b"", "it cannot be started"
    ends_at = time.monotonic() + step.timeout_seconds
    failure = ""
    while step.ready is not None and not failure:
        left = ends_at - time.monotonic()
        if left <= 0:
            failure = f"it was not ready within {step.timeout_seconds} s"
        elif (await commands.run(step.ready, directory, environment, seconds=left)).code == 0:
            break
        elif (code := await commands.exit_code(number)) is not None:
            failure = f"it ended with exit code {code}"
        else:
            await asyncio.sleep(_READY_PAUSE_SECONDS)
    return commands.output_of(number), failure


def words_of(run: Sequence[str] | None, shell: str | None) -> Sequence[str]:
    """Return the program and the arguments of a command that has either `run` or `shell`."""
    return run if run is not None else ("bash", "-euo", "pipefail", "-c", shell or "")
