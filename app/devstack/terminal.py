"""Terminal output of the developer commands: headlines, steps in progress, errors, addresses of a running stack.

Colours and rewritten lines are for a terminal only; a file gets plain text. A text may come from an agent or from a
repository: every text goes through `visible`, and the codes for colours are added after that.
"""

import os
import re
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
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
# The control characters C0 without tab and newline, DEL, C1, those that change the direction of text, and halves of
# surrogate pairs, which have no encoding.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""Return the text with its control characters written as Python writes them, such as `\x1b` for ESC."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class TerminalOutput:
    """Writes lines, headlines, steps and errors to standard output or to `stream`, in colours on a terminal only."""

    def __init__(self, stream: TextIO | None = None) -> None:
        # Despite its type, `sys.stdout` is None if the descriptor was closed before the process started.
        self._stream: TextIO | None = stream or sys.stdout
        self._rich = self._stream is not None and self._stream.isatty() and "NO_COLOR" not in os.environ
        self._unfinished: str | None = None

    def line(self, text: str = "") -> None:
        self._write_below(f"{visible(text)}\n")

    def title(self, text: str) -> None:
        self.styled_line(text, "bold")

    def styled_line(self, text: str, style: str) -> None:
        self._write_below(f"{self._styled(text, style)}\n")

    def error(self, error: Exception) -> None:
        self.line()
        print(self._styled(f"Error: {error}", "red"), file=sys.stderr)

    def child_lines(self, name: str, lines: Sequence[str]) -> None:
        """Write lines of the output of a child process at once, with the name of the child in front of each."""
        mark = self._styled(f"{name:<6} │", "cyan")
        self._write_below("".join(f"{mark} {visible(line)}\n" for line in lines))

    def table(self, rows: Mapping[str, str]) -> None:
        for name, value in rows.items():
            self._write_below(f"  {self._styled(f'{name:<{_NAME_WIDTH}}', 'dim')} {visible(value)}\n")

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Write the text of a step when the block begins, and its duration when the block ends."""
        started = time.monotonic()
        if self._unfinished is not None:
            self.line()
        self._unfinished = text
        self._write(f"  {visible(text)} …")
        yield
        seconds = time.monotonic() - started
        # Lines that were written during the block have ended the line of the step.
        is_open, self._unfinished = self._unfinished == text, None
        if is_open and not self._rich:
            self._write(f" {seconds:.1f} s\n")
        else:
            self._write("\r\x1b[K" if is_open else "")
            self.step_done(text, seconds)

    def step_done(self, text: str, seconds: float) -> None:
        took = self._styled(f"{seconds:.1f} s", "dim")
        self._write_below(f"  {self._styled('✓', 'green')} {visible(text)} {took}\n")

    def _styled(self, text: str, style: str) -> str:
        return f"{_STYLES[style]}{visible(text)}{_RESET}" if self._rich else visible(text)

    def _write_below(self, text: str) -> None:
        if self._unfinished is not None:
            self._unfinished, text = None, f"\n{text}"
        self._write(text)

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
    """Print the addresses of a running stack, its API key, and commands to use it from another terminal."""
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
        terminal.line("  In another terminal: sign it in, by a code that you confirm in the console;")
        terminal.line("  with --with-token by the API key, which it reads from standard input")
        terminal.line(f"    {command} login --url {base_url}")
    else:
        terminal.line("  In another terminal: sign it in, and paste the API key")
        terminal.line(f"    {command} login --url {base_url} --with-token")
    terminal.line("  In another terminal: an agent on a repository of yours, and what README.md asks for")
    terminal.line(f"    {command} try {shlex.quote(str(_CHECKOUT))}")
    terminal.line(f"    export KEY={account.api_key} TASKS={base_url}/api/projects/@current/tasks")
    terminal.line()
    terminal.styled_line("  Ctrl-C stops everything; the data stays.", "dim")
    terminal.line()


def _command_line(home: Home) -> str:
    program = Path(sys.executable).with_name("taskbeacon")
    command = [str(program)] if program.exists() else [sys.executable, "-m", "app.cli"]
    elsewhere = [] if home.root == _CHECKOUT / ".taskbeacon" else [f"TASKBEACON_HOME={home.root}"]
    return shlex.join([*elsewhere, *command])
