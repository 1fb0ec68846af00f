"""Commands that an agent has us run for it (`terminal/*` of the protocol), in the sandbox that the agent lives in.

Each terminal is a process of its own; what it prints is kept up to a bound, the end of it. An agent that does not
release its terminals loses them with its session.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

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
from app.ids import new_hex_id
from app.processes.reading import Tail
from app.shielded import shielded

# Starts a command where the agent lives, with these variables beside the agent's own; both outputs are one.
StartCommand = Callable[[Sequence[str], Mapping[str, str]], Awaitable[ConfinedProcess]]

_MOST = 16
_OUTPUT_BYTES = 2**20
_COMMAND_BYTES = 100_000
# The folder is entered inside, where a link can lead nowhere else.
_IN_FOLDER = ("sh", "-c", 'cd -- "$1" && shift && exec "$@"', "sh")
_SIGNALLED = 128
_GRACE_SECONDS = 2.0


class Terminals:
    """The terminals of one session; the protocol's requests are methods of these names."""

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
        **_meta: Any,
    ) -> CreateTerminalResponse:
        """Start a command. Raises RequestError, also when the session has too many terminals."""
        if len(self._terminals) + self._starting >= _MOST:
            raise _refused(f"there are {_MOST} terminals; release one first")
        # Some agents send a line for a shell and no arguments.
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
            raise _refused(str(error)) from None
        finally:
            self._starting -= 1
        terminal_id = new_hex_id()
        self._terminals[terminal_id] = _Terminal(process, limit)
        return CreateTerminalResponse(terminal_id=terminal_id)

    async def terminal_output(
        self, session_id: str, terminal_id: str, **_meta: Any
    ) -> TerminalOutputResponse:
        """Return what a terminal has printed, and how it ended if it did."""
        return self._find(terminal_id).output()

    async def wait_for_terminal_exit(
        self, session_id: str, terminal_id: str, **_meta: Any
    ) -> WaitForTerminalExitResponse:
        """Return how a terminal ended, once it has and all that it printed is there."""
        status = await self._find(terminal_id).wait()
        return WaitForTerminalExitResponse(exit_code=status.exit_code, signal=status.signal)

    async def kill_terminal(self, session_id: str, terminal_id: str, **_meta: Any) -> KillTerminalResponse:
        """End a terminal's processes; its output stays. Repeatable."""
        await self._find(terminal_id).stop()
        return KillTerminalResponse()

    async def release_terminal(
        self, session_id: str, terminal_id: str, **_meta: Any
    ) -> ReleaseTerminalResponse:
        """End a terminal's processes and forget it."""
        terminal = self._find(terminal_id)
        self._terminals.pop(terminal_id, None)
        await terminal.stop()
        return ReleaseTerminalResponse()

    async def close(self, grace_seconds: float = _GRACE_SECONDS) -> None:
        """End all terminals, and have their programs end in good order for some time. Repeatable."""
        terminals, self._terminals = list(self._terminals.values()), {}
        await asyncio.gather(*(terminal.stop(grace_seconds) for terminal in terminals))

    def _find(self, terminal_id: str) -> "_Terminal":
        terminal = self._terminals.get(terminal_id)
        if terminal is None:
            raise RequestError.resource_not_found(terminal_id)
        return terminal


class _Terminal:
    """One process, and the end of what it prints."""

    def __init__(self, process: ConfinedProcess, limit: int) -> None:
        self._process = process
        self._tail = Tail(limit) if limit else None
        follower = self._tail or Tail(1)
        self._reading = asyncio.create_task(follower.follow(process.stdout))

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
        await self._reading


def _status(code: int) -> TerminalExitStatus:
    number = -code if code < 0 else code - _SIGNALLED
    if number > 0 and number in set(signal.Signals):
        return TerminalExitStatus(signal=signal.Signals(number).name)
    return TerminalExitStatus(exit_code=code)


def _require_startable(words: Sequence[str], variables: Mapping[str, str]) -> None:
    texts = [*words, *variables, *variables.values()]
    if any("\0" in text for text in texts):
        raise _refused("a word of the command holds NUL")
    if any("=" in name or not name for name in variables):
        raise _refused("a variable's name is empty or holds '='")
    if sum(len(text.encode(errors="replace")) for text in texts) > _COMMAND_BYTES:
        raise _refused(f"the command is longer than {_COMMAND_BYTES} bytes")


def _refused(reason: str) -> RequestError:
    return RequestError.invalid_params({"details": f"The terminal cannot be made: {reason}."})
