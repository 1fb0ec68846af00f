"""Children of a launcher: readiness, output and errors, and that none outlives the launcher."""

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.devstack.launchers import clean_environment, ended, launcher, run_source, snapshot, wait_for

OBEDIENT = "import signal; print('up'); signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); signal.pause()"
LAUNCHER = """
import json, os, signal, sys
from pathlib import Path
from app.devstack.errors import StopRequested
from app.devstack.processes import Supervisor

seen = []
log = Path(sys.argv[1])
with Supervisor(on_output=lambda name, line: seen.append(name), grace_seconds=600) as supervisor:
    signal.signal(signal.SIGTERM, lambda *_: supervisor.request_stop())
    for number, source in enumerate(json.loads(sys.argv[2])):
        command = [sys.executable, "-uc", source]
        supervisor.start(
            f"child {number}", command, environment=os.environ, log=log / f"{number}.log", is_shown=True
        )
    supervisor.wait(lambda: len(seen) == len(supervisor.children), what="all", timeout=100)
    print("ready", flush=True)
    try:
        supervisor.run_until_stopped()
    except StopRequested:
        print("asked to stop", flush=True)
"""
HEAD = """
import os, sys
from pathlib import Path
from app.devstack.errors import DevstackError
from app.devstack.processes import Supervisor
log = Path(*sys.argv[1:2])
"""


def run(source: str, *arguments: str) -> list[str]:
    """Run a few lines of a launcher and return what they printed."""
    done = run_source(HEAD + textwrap.dedent(source), *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("children", "signals"),
    [
        ([OBEDIENT] * 2, [signal.SIGTERM]),
        ([OBEDIENT, STUBBORN], [signal.SIGTERM, signal.SIGTERM]),  # the second one ends the grace
        ([OBEDIENT] * 2, [signal.SIGKILL]),
    ],
    ids=["asked", "asked-twice-stubborn", "killed"],
)
def test_no_child_outlives_its_launcher(
    children: list[str], signals: list[signal.Signals], tmp_path: Path
) -> None:
    output = tmp_path / "output"
    with launcher("-c", LAUNCHER, str(tmp_path), json.dumps(children), output=output) as process:
        wait_for(lambda: b"ready" in output.read_bytes(), seconds=60, what="the children")
        family = snapshot([process.pid])
        for number, how in enumerate(signals):
            process.send_signal(how)
            if number + 1 < len(signals):
                wait_for(lambda: b"asked to stop" in output.read_bytes(), seconds=60, what="the first signal")
        process.wait(100)
        wait_for(lambda: ended(family), seconds=60, what="the end of the whole family")

    assert len(family) == 1 + len(children)


def test_children_stop_in_reverse_order_of_their_start(tmp_path: Path) -> None:
    record = tmp_path / "record"
    child = (
        "import signal, sys; name = sys.argv[1]\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (open({str(record)!r}, 'a').write(name), sys.exit(0)))\n"
        "print('up'); signal.pause()"
    )
    run(
        """
        seen = []
        with Supervisor(on_output=lambda *line: seen.append(line)) as supervisor:
            for name in "abc":
                command = [sys.executable, "-uc", sys.argv[2], name]
                supervisor.start(
                    name, command, environment=os.environ, log=log / f"{name}.log", is_shown=True
                )
            supervisor.wait(lambda: len(seen) == 3, what="all", timeout=100)
        """,
        str(tmp_path),
        child,
    )

    assert record.read_text() == "cba"


def test_child_that_ends_while_waited_for_is_named_with_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("line of an earlier start\n")

    answer = run(
        """
        with Supervisor() as supervisor:
            command = ["sh", "-c", "echo cannot bind; exit 3"]
            supervisor.start("server", command, environment=os.environ, log=log)
            try:
                supervisor.wait(lambda: False, what="server", timeout=100)
            except DevstackError as error:
                print(error)
        """,
        str(log),
    )

    assert answer == ["server ended (exit status 3)", "    cannot bind"]


def test_child_that_never_gets_ready_is_named_after_the_deadline(tmp_path: Path) -> None:
    answer = run(
        """
        with Supervisor() as supervisor:
            command = ["sh", "-c", "echo thinking; sleep 600"]
            supervisor.start("server", command, environment=os.environ, log=log)
            try:
                supervisor.wait(lambda: False, what="server", timeout=1)
            except DevstackError as error:
                print(error)
        """,
        str(tmp_path / "server.log"),
    )

    assert answer == ["server was not ready within 1 s", "    thinking"]


def test_command_prints_to_a_given_file(tmp_path: Path) -> None:
    answer = run(
        """
        with Supervisor() as supervisor:
            command, here = ["sh", "-c", "echo a step"], sys.stdout.buffer
            print([supervisor.run("step", command, environment=os.environ, log=log, timeout=100, stdout=here)])
        """,
        str(tmp_path / "commands.log"),
    )

    assert answer == ["a step", "['']"]


def test_program_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    answer = run(
        """
        try:
            Supervisor().start("server", ["/nonexistent/server"], environment={}, log=log)
        except DevstackError as error:
            print(error)
        """,
        str(tmp_path / "server.log"),
    )

    assert answer[0].startswith("server cannot be started (/nonexistent/server): ")


def test_command_returns_standard_output_and_logs_the_rest(tmp_path: Path) -> None:
    log = tmp_path / "commands.log"

    answer = run(
        """
        with Supervisor() as supervisor:
            command = ["sh", "-c", "echo result; echo remark >&2"]
            print(supervisor.run("tool", command, environment=os.environ, log=log, timeout=100))
            try:
                command = ["sh", "-c", "echo reason >&2; exit 4"]
                supervisor.run("tool", command, environment=os.environ, log=log, timeout=100)
            except DevstackError as error:
                print(error)
        """,
        str(log),
    )

    assert answer == ["result", "tool failed (exit status 4):", "    reason"]
    assert log.read_text() == "remark\nreason\n"


def test_child_with_a_launcher_that_died_before_the_kernel_knew_ends_at_once() -> None:
    answer = run(
        """
        from app.devstack.processes import bind_to_parent
        child = os.fork()
        if child == 0:
            bind_to_parent(1_000_000_000, 9)  # somebody else is its parent by now
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )

    assert answer == ["1"]


SHOWING = """
import os, sys
from contextlib import suppress
from pathlib import Path
from app.devstack.errors import DevstackError
from app.devstack.processes import Supervisor
from app.devstack.terminal import TerminalOutput

with Supervisor(on_output=TerminalOutput().child_lines) as supervisor:
    command = [sys.executable, "-uc", sys.argv[2]]
    supervisor.start("api", command, environment=os.environ, log=Path(sys.argv[1]), is_shown=True)
    with suppress(DevstackError):
        supervisor.run_until_stopped()
"""
# More than a pipe takes, then lines that are hard to show.
TALKATIVE = """
import sys
sys.stdout.write("".join("line %094d\\n" % number for number in range(2000)))
sys.stdout.write("x" * 1_000_000 + "\\n\\0\\x1b\\nend\\n")
"""


def test_all_output_of_a_child_is_shown_and_waits_for_no_terminal(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text("line of an earlier start\n")
    command = [sys.executable, "-c", SHOWING, str(log), TALKATIVE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=clean_environment(), text=True) as process:
        wait_for(lambda: log.read_bytes().endswith(b"end\n"), seconds=60, what="the end of the output")
        shown = process.communicate(timeout=60)[0].splitlines()

    lines = [line.partition("│ ")[2] for line in shown]
    assert [line for line in lines if line.startswith("line ")] == [
        f"line {number:094d}" for number in range(2000)
    ]
    assert sum(len(line) for line in lines if set(line) == {"x"}) == 1_000_000
    assert lines[-2:] == [r"\x00\x1b", "end"]
