"""The command `taskbeacon` in a process of its own, in a terminal of a person or without one."""

import os
import pty
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

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

    def end(self) -> Shown:
        """Read to the end of the program."""
        with suppress(OSError):  # how Linux tells it
            while piece := os.read(self._at, 4096):
                self.text += piece.decode(errors="replace")
        _, status = os.waitpid(self.pid, 0)
        os.close(self._at)
        return Shown(os.waitstatus_to_exitcode(status), self.text)
