"""Terminal output of the developer commands: headlines, steps in progress, errors, addresses of a running stack.

Colour and rewriting of lines happen on a terminal only; a file gets plain text.
"""

import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import app
from app.devstack.account import Account
from app.devstack.home import Home

_RESET = "\x1b[0m"
_STYLES = {"bold": "\x1b[1m", "dim": "\x1b[2m", "green": "\x1b[32m", "red": "\x1b[31m", "cyan": "\x1b[36m"}
_NAME_WIDTH = 12
_CHECKOUT = Path(app.__file__ or "").absolute().parents[1]


class TerminalOutput:
    """Writes lines, headlines, steps and errors to standard output or to `stream`.

    Colours are used only on a terminal.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        # None, despite its type, if the descriptor was closed before the start.
        self._stream: TextIO | None = stream or sys.stdout
        self._rich = self._stream is not None and self._stream.isatty() and "NO_COLOR" not in os.environ
        self._unfinished: str | None = None

    def line(self, text: str = "") -> None:
        """Write a line of text. If a step is in progress, its line stays above this one."""
        if self._unfinished is not None:
            self._write("\n")
            self._unfinished = None
        self._write(text + "\n")

    def title(self, text: str) -> None:
        """Write a headline."""
        self.line(self.style(text, "bold"))

    def styled_line(self, text: str, style: str) -> None:
        """Write a line of text in a style: `bold`, `dim`, `green`, `red` or `cyan`."""
        self.line(self.style(text, style))

    def error(self, error: Exception) -> None:
        """Write the message of an error to standard error."""
        self.line()
        print(self.style(f"Error: {error}", "red"), file=sys.stderr)

    def child_line(self, name: str, text: str) -> None:
        """Write one line of the output of a child process, with the name of the child in front of it."""
        self.line(f"{self.style(f'{name:<6} │', 'cyan')} {text}")

    def table(self, rows: Mapping[str, str]) -> None:
        """Write a table with one line for each name and its value."""
        for name, value in rows.items():
            self.line(f"  {self.style(f'{name:<{_NAME_WIDTH}}', 'dim')} {value}")

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Write the text of a step when the block begins, and its duration when the block ends.

        If the block raises an error, the duration is not written.
        """
        started = time.monotonic()
        if self._unfinished is not None:
            self.line()
        self._unfinished = text
        self._write(f"  {text} …")
        yield
        mark, took = self.style("✓", "green"), self.style(f"{time.monotonic() - started:.1f} s", "dim")
        if self._unfinished != text:  # other lines came between
            self._write(f"  {mark} {text} {took}\n")
        elif self._rich:
            self._write(f"\r\x1b[K  {mark} {text} {took}\n")
        else:
            self._write(f" {took}\n")
        self._unfinished = None

    def step_done(self, text: str, seconds: float) -> None:
        """Write the text of a step that has ended, with its duration in seconds.

        Use this instead of `step` for steps that run at the same time as other steps.
        """
        self.line(f"  {self.style('✓', 'green')} {text} {self.style(f'{seconds:.1f} s', 'dim')}")

    def style(self, text: str, style: str) -> str:
        """Return the text with a terminal's control codes for `bold`, `dim`, `green`, `red` or `cyan`.

        If the output is no terminal, or the environment variable NO_COLOR is set, return the text unchanged.
        """
        return f"{_STYLES[style]}{text}{_RESET}" if self._rich else text

    def _write(self, text: str) -> None:
        # A closed terminal must not prevent an orderly stop of the stack.
        with suppress(OSError):
            if self._stream is not None:
                self._stream.write(text)
                self._stream.flush()


def show_welcome(
    terminal: TerminalOutput,
    home: Home,
    account: Account,
    *,
    base_url: str,
    sink_url: str | None,
    login_link: str | None,
) -> None:
    """Print the addresses of a running stack, its API key, and commands to use it from another terminal.

    `sink_url` is the page of the local stand-in for Expo, or None if the stack has none. `login_link` signs one browser
    in to the console; it is None if the console is not built.
    """
    terminal.table(
        {
            "Base URL": base_url,
            **({"Console": login_link} if login_link else {}),
            "Swagger UI": f"{base_url}/docs",
            "API key": account.api_key,
            "Project": str(account.project_id),
            **({"Pushes": sink_url, "Webhooks to": f"{sink_url}/webhooks"} if sink_url else {}),
            "Logs": str(home.logs),
        }
    )
    terminal.line()
    command = _command_line(home)
    if login_link:
        terminal.line(
            "  The link to the console signs one browser in, within a minute. This prints another one:"
        )
        terminal.line(f"    {command} console")
    terminal.line("  In another terminal: an agent on a repository of yours, and a request")
    terminal.line(f"    {command} try {shlex.quote(str(_CHECKOUT))}")
    terminal.line(f"    curl -H 'Authorization: Bearer {account.api_key}' {base_url}/api/users/@me/")
    terminal.line()
    terminal.styled_line("  Ctrl-C stops everything; the data stays.", "dim")
    terminal.line()


def _command_line(home: Home) -> str:
    """Return the command line by which another terminal, in any folder, calls a command for this stack."""
    program = Path(sys.executable).with_name("taskbeacon")
    command = [str(program)] if program.exists() else [sys.executable, "-m", "app.cli"]
    elsewhere = [] if home.root == _CHECKOUT / ".taskbeacon" else [f"TASKBEACON_HOME={home.root}"]
    return shlex.join([*elsewhere, *command])
