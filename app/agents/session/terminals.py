"""Terminals of an agent (`terminal/*` of the protocol): commands that the service runs in its sandbox."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence

from acp import RequestError
from acp.schema import (
    CreateTerminalResponse,
    EnvVariable,
    KillTerminalResponse,
    ReleaseTerminalResponse,
    TerminalExitStatus,
    TerminalOutputResponse,
    WaitForTerminalExitResponse,
)

from app.agents.sandbox.confined_process import ConfinedProcess
from app.coroutines.shielded import shielded
from app.ids import new_hex_id
from app.processes.output import Tail

# Starts a command in the agent's sandbox, with these variables in addition to the agent's, and one pipe for output
# and errors.
StartCommand = Callable[[Sequence[str], Mapping[str, str]], Awaitable[ConfinedProcess]]

_MOST = 16
_OUTPUT_BYTES = 2**20
_COMMAND_BYTES = 100_000
# The shell enters the folder inside the sandbox, so a link leads only to what the agent can see.
_IN_FOLDER = ("sh", "-c", 'cd -- "$1" && shift && exec "$@"', "sh")
_SIGNALLED = 128
_GRACE_SECONDS = 2.0


class Terminals:
    """Commands in the agent's sandbox, by `start`; a method for each of the protocol's requests."""

    def __init__(self, start: StartCommand) -> None:
        self._start = start
        self._terminals: dict[str, _Terminal] = {}
        self._starting = 0

    async def create_terminal(
        self,
        session_id: str,
        command: str,
        args: list[str] | None = None,
        env: list[EnvVariable] | None = None,
        cwd: str | None = None,
        output_byte_limit: int | None = None,
        **_meta: object,
    ) -> CreateTerminalResponse:
        """Start a command, by a shell if it is several words without `args`; keep the last MiB of its output."""
        if len(self._terminals) + self._starting >= _MOST:
            raise _refusal(f"there are {_MOST} terminals; release one first")
        # Some agents send a whole shell command as `command`, without arguments.
        is_line = not args and len(command.split()) > 1
        words = ["sh", "-c", command] if is_line else [command, *(args or ())]
        words = [*_IN_FOLDER, cwd, *words] if cwd else words
        variables = {variable.name: variable.value for variable in env or ()}
        _require_startable(words, variables)
        limit = _OUTPUT_BYTES if output_byte_limit is None else min(max(output_byte_limit, 0), _OUTPUT_BYTES)
        self._starting += 1
        try:
            process = await self._start(words, variables)
        except OSError as error:
            raise _refusal(str(error)) from None
        finally:
            self._starting -= 1
        terminal_id = new_hex_id()
        self._terminals[terminal_id] = _Terminal(process, limit)
        return CreateTerminalResponse(terminal_id=terminal_id)

    async def terminal_output(
        self, session_id: str, terminal_id: str, **_meta: object
    ) -> TerminalOutputResponse:
        """Return the end of a terminal's output, and the exit status of a command that has ended."""
        return self._find(terminal_id).output()

    async def wait_for_terminal_exit(
        self, session_id: str, terminal_id: str, **_meta: object
    ) -> WaitForTerminalExitResponse:
        """Wait until the command of a terminal has ended and all its output is read; return the exit status."""
        status = await self._find(terminal_id).wait()
        return WaitForTerminalExitResponse(exit_code=status.exit_code, signal=status.signal)

    async def kill_terminal(self, session_id: str, terminal_id: str, **_meta: object) -> KillTerminalResponse:
        """End the processes of a terminal. The terminal and its output stay. Can be called again."""
        await self._find(terminal_id).stop()
        return KillTerminalResponse()

    async def release_terminal(
        self, session_id: str, terminal_id: str, **_meta: object
    ) -> ReleaseTerminalResponse:
        terminal = self._find(terminal_id)
        self._terminals.pop(terminal_id, None)
        await terminal.stop()
        return ReleaseTerminalResponse()

    async def close(self, grace_seconds: float = _GRACE_SECONDS) -> None:
        """End all processes, by SIGTERM, then by SIGKILL after `grace_seconds`. Can be called again."""
        terminals, self._terminals = list(self._terminals.values()), {}
        await asyncio.gather(*(terminal.stop(grace_seconds) for terminal in terminals))

    def _find(self, terminal_id: str) -> "_Terminal":
        terminal = self._terminals.get(terminal_id)
        if terminal is None:
            raise RequestError.resource_not_found(terminal_id)
        return terminal


class _Terminal:
    def __init__(self, process: ConfinedProcess, limit: int) -> None:
        self._process = process
        self._tail = Tail(limit) if limit else None
        reader = self._tail or Tail(1)
        self._reading = asyncio.create_task(reader.read(process.stdout))

    def output(self) -> TerminalOutputResponse:
        code = self._process.returncode
        return TerminalOutputResponse(
            output=self._tail.text() if self._tail else "",
            truncated=self._tail.is_truncated if self._tail else False,
            exit_status=None if code is None else _status(code),
        )

    async def wait(self) -> TerminalExitStatus:
        code = await self._process.wait()
        await self.stop()
        return _status(code)

    async def stop(self, grace_seconds: float = _GRACE_SECONDS) -> None:
        await shielded(self._process.stop(grace_seconds))
        await asyncio.shield(self._reading)


def _status(code: int) -> TerminalExitStatus:
    number = -code if code < 0 else code - _SIGNALLED
    if number > 0 and number in set(signal.Signals):
        return TerminalExitStatus(signal=signal.Signals(number).name)
    return TerminalExitStatus(exit_code=code)


def _require_startable(words: Sequence[str], variables: Mapping[str, str]) -> None:
    texts = [*words, *variables, *variables.values()]
    if any("\0" in text for text in texts):
        raise _refusal("a word of the command holds NUL")
    if any("=" in name or not name for name in variables):
        raise _refusal("a variable's name is empty or holds '='")
    if sum(len(text.encode(errors="replace")) for text in texts) > _COMMAND_BYTES:
        raise _refusal(f"the command is longer than {_COMMAND_BYTES} bytes")


def _refusal(reason: str) -> RequestError:
    return RequestError.invalid_params({"details": f"The terminal cannot be made: {reason}."})
