"""Progress on the terminal: readable as plain text, steps whole even when something comes between."""

import io
import re
from pathlib import Path

import pytest
from typing_extensions import override

from app.devstack.account import Account
from app.devstack.errors import DevstackError
from app.devstack.home import Home
from app.devstack.terminal import TerminalOutput, show_welcome

LINK = "http://127.0.0.1:8000/console/login#a-code"


def plain(text: str) -> str:
    return re.sub(r"\d+\.\d s", "N s", text)


def test_step_ends_with_its_time() -> None:
    stream = io.StringIO()

    with TerminalOutput(stream).step("Migrations"):
        pass

    assert plain(stream.getvalue()) == "  Migrations … N s\n"


def test_lines_between_do_not_break_a_step() -> None:
    stream = io.StringIO()
    terminal = TerminalOutput(stream)

    with terminal.step("API"):
        terminal.child_lines("api", ["listening"])

    assert plain(stream.getvalue()) == "  API …\napi    │ listening\n  ✓ API N s\n"


def test_nothing_is_written_without_an_output(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout", None)  # as Python has it where the descriptor was closed before
    terminal = TerminalOutput()

    terminal.title("Ready")
    with terminal.step("API"):
        terminal.child_lines("api", ["listening"])

    assert capfd.readouterr() == ("", "")


def test_file_gets_no_escape_sequences() -> None:
    stream = io.StringIO()
    terminal = TerminalOutput(stream)

    terminal.title("Ready")
    terminal.table({"Base URL": "http://127.0.0.1:8000"})

    assert "\x1b" not in stream.getvalue()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    @override
    def isatty(self) -> bool:
        return True


# Writes the clipboard, hides what follows, goes up a line, clears the screen in one byte, and turns the direction.
HOSTILE = "\x1b]52;c;cm0gLXJm\x07 \x1b[8m \x1b[1A\r \x9b2J \x7f \u202egnihton"
SHOWN = r"\x1b]52;c;cm0gLXJm\x07 \x1b[8m \x1b[1A\r \x9b2J \x7f \u202egnihton"


@pytest.mark.parametrize(
    "write", ["line", "title", "styled_line", "child_lines", "table", "step", "step_done"]
)
def test_control_characters_of_an_agent_are_shown_and_not_obeyed(
    monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    """An agent's text reached the terminal as it was: it could write the clipboard and fake lines."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    terminal = TerminalOutput(stream)

    match write:
        case "styled_line":
            terminal.styled_line(HOSTILE, "dim")
        case "child_lines":
            terminal.child_lines("worker", [HOSTILE])
        case "table":
            terminal.table({"Branch": HOSTILE})
        case "step":
            with terminal.step(HOSTILE):
                pass
        case "step_done":
            terminal.step_done(HOSTILE, 1.0)
        case _:
            getattr(terminal, write)(HOSTILE)

    written = stream.getvalue()
    assert SHOWN in written
    own = re.sub(r"\x1b\[(0|1|2|31|32|36)m|\r\x1b\[K", "", written)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", own)


def test_control_characters_of_an_error_are_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    TerminalOutput(io.StringIO()).error(DevstackError(f"git failed: {HOSTILE}"))

    assert capsys.readouterr().err == f"Error: git failed: {SHOWN}\n"


def test_tabs_and_newlines_of_an_agent_are_kept() -> None:
    stream = io.StringIO()

    TerminalOutput(stream).line("a\tb\nc ü 漢 😀")

    assert stream.getvalue() == "a\tb\nc ü 漢 😀\n"


def test_error_begins_as_those_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    TerminalOutput().error(DevstackError("there is no folder /nowhere"))

    assert capsys.readouterr().err == "Error: there is no folder /nowhere\n"


def test_closed_terminal_does_not_stop_the_launcher() -> None:
    class Closed(io.StringIO):
        @override
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    terminal = TerminalOutput(Closed())

    terminal.line("this is not read")
    terminal.line("nor this")


@pytest.mark.parametrize("link", [LINK, None], ids=["built", "not built"])
def test_console_is_among_the_addresses_if_it_is_built(tmp_path: Path, link: str | None) -> None:
    stream = io.StringIO()

    show_welcome(
        TerminalOutput(stream),
        Home(tmp_path),
        Account(project_id=1, user_id=2, api_key="phx_key"),
        base_url="http://127.0.0.1:8000",
        sink_url="http://127.0.0.1:9000",
        login_link=link,
    )

    lines = stream.getvalue().splitlines()
    rows = dict(line.split(maxsplit=1) for line in lines[: lines.index("")])
    assert rows.get("Console") == link
    # The command that prints another link, above the last line.
    commands = [line for line in lines if line.startswith(f"    TASKBEACON_HOME={tmp_path} ")]
    named = [command.split()[2] for command in commands]
    assert named == (["console", "login", "try"] if link else ["login", "try"])
    assert "--with-token" in stream.getvalue()
    assert lines[-2] == "  Ctrl-C stops everything; the data stays."
