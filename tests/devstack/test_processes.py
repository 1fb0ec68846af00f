"""Children of a launcher: readiness, output and errors, and that none outlives the launcher."""

import json
import os
import re
import resource
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.devstack.launchers import clean_environment, ended, launcher, run_source, snapshot, wait_for

# One child ignores every polite signal; the other leaves a process in a session of its own.
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); signal.pause()"
PARENT = """
import signal, subprocess, sys, time
subprocess.Popen(["sleep", "600"], start_new_session=True)
print("up")
signal.pause()
"""
LAUNCHER = """
import json, os, signal, sys
from app.devstack.errors import StopRequested
from app.devstack.processes import Supervisor, guarded

seen = []

def work():
  with Supervisor(on_output=lambda name, line: seen.append(name), grace_seconds=float(sys.argv[2])) as supervisor:
      signal.signal(signal.SIGTERM, lambda *_: supervisor.request_stop())
      for number, source in enumerate(json.loads(sys.argv[1])):
          supervisor.start(f"child {number}", [sys.executable, "-uc", source], environment=os.environ)
      supervisor.wait(lambda: len(seen) == len(supervisor.children), what="all", timeout=100)
      print("ready", flush=True)
      try:
          supervisor.run_until_stopped()
      except StopRequested:
          print("asked to stop", flush=True)
  return 0

sys.exit(guarded(work))
"""
# Leaves an orphan that ends soon.
LEAVING = """
import signal, subprocess
subprocess.run(["sh", "-c", "sleep 0.1 &"])
print("up")
signal.pause()
"""
HEAD = """
import os, sys
from pathlib import Path
from app.devstack.errors import DevstackError
from app.devstack.processes import Supervisor
"""


def run(source: str, *arguments: str) -> list[str]:
    """Run a few lines of a launcher and return what they printed."""
    done = run_source(HEAD + textwrap.dedent(source), *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("children", "signals", "grace_seconds"),
    [
        ([PARENT], [signal.SIGTERM], 600),
        ([PARENT, STUBBORN], [signal.SIGTERM, signal.SIGTERM], 600),  # the second one ends the grace
        ([PARENT], [signal.SIGKILL], 600),
        ([STUBBORN, PARENT], [signal.SIGKILL], 0.5),
    ],
    ids=["asked", "asked-twice-stubborn", "killed", "killed-stubborn"],
)
def test_no_process_outlives_its_launcher(
    children: list[str], signals: list[signal.Signals], grace_seconds: float, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    with launcher("-c", LAUNCHER, json.dumps(children), str(grace_seconds), output=output) as process:
        wait_for(lambda: b"ready" in output.read_bytes(), seconds=60, what="the children")
        family = snapshot([process.pid])
        for number, how in enumerate(signals):
            process.send_signal(how)
            if number + 1 < len(signals):
                wait_for(lambda: b"asked to stop" in output.read_bytes(), seconds=60, what="the first signal")
        process.wait(100)
        wait_for(lambda: ended(family), seconds=60, what="the end of the whole family")

    # The launcher is two processes; either may be killed.
    assert len(family) == 2 + len(children) + children.count(PARENT)


def test_no_process_outlives_the_child_of_a_launcher(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with launcher("-c", LAUNCHER, json.dumps([PARENT, STUBBORN]), "600", output=output) as process:
        wait_for(lambda: b"ready" in output.read_bytes(), seconds=60, what="the children")
        family = snapshot([process.pid])
        (child,) = children_of(process.pid)
        os.kill(int(child), signal.SIGKILL)
        assert process.wait(60) == 128 + signal.SIGKILL

    assert ended(family)


def test_orphans_that_have_ended_do_not_stay_as_zombies(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with launcher("-c", LAUNCHER, json.dumps([LEAVING] * 2), "600", output=output) as process:
        wait_for(lambda: b"ready" in output.read_bytes(), seconds=60, what="the children")
        (child,) = children_of(process.pid)
        wait_for(lambda: len(children_of(int(child))) == 2, seconds=20, what="the end of the orphans")


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


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
                supervisor.start(name, [sys.executable, "-uc", sys.argv[1], name], environment=os.environ)
            supervisor.wait(lambda: len(seen) == 3, what="all", timeout=100)
        """,
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
            supervisor.start("server", command, environment=os.environ, log=Path(sys.argv[1]))
            try:
                supervisor.wait(lambda: False, what="server", timeout=100)
            except DevstackError as error:
                print(error)
        """,
        str(log),
    )

    assert answer == ["server ended (exit status 3)", "    cannot bind"]


def test_child_that_never_gets_ready_is_named_after_the_deadline() -> None:
    answer = run(
        """
        with Supervisor() as supervisor:
            supervisor.start("server", ["sh", "-c", "echo thinking; sleep 600"], environment=os.environ)
            try:
                supervisor.wait(lambda: False, what="server", timeout=1)
            except DevstackError as error:
                print(error)
        """
    )

    assert answer == ["server was not ready within 1 s", "    thinking"]


def test_command_prints_to_a_given_file() -> None:
    answer = run(
        """
        with Supervisor() as supervisor:
            command, here = ["sh", "-c", "echo a step"], sys.stdout.buffer
            print([supervisor.run("step", command, environment=os.environ, timeout=100, stdout=here)])
        """
    )

    assert answer == ["a step", "['']"]


def test_program_that_is_not_there_is_a_clear_error() -> None:
    answer = run(
        """
        try:
            Supervisor().start("server", ["/nonexistent/server"], environment={})
        except DevstackError as error:
            print(error)
        """
    )

    assert answer[0].startswith("server cannot be started (/nonexistent/server): ")


def test_command_returns_standard_output_and_logs_the_rest(tmp_path: Path) -> None:
    log = tmp_path / "commands.log"

    answer = run(
        """
        with Supervisor() as supervisor:
            command = ["sh", "-c", "echo result; echo remark >&2"]
            print(supervisor.run("tool", command, environment=os.environ, log=Path(sys.argv[1]), timeout=100))
            try:
                command = ["sh", "-c", "echo reason >&2; exit 4"]
                supervisor.run("tool", command, environment=os.environ, log=Path(sys.argv[1]), timeout=100)
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
import os, signal, sys
from app.devstack.errors import StopRequested
from app.devstack.processes import Supervisor
from app.devstack.terminal import TerminalOutput

terminal = TerminalOutput(patience=0.2)
with Supervisor(on_output=terminal.child_lines, has_room=terminal.has_room) as supervisor:
    signal.signal(signal.SIGINT, lambda *_: supervisor.request_stop())
    supervisor.start("api", [sys.executable, "-uc", sys.argv[1]], environment=os.environ)
    try:
        supervisor.run_until_stopped()
    except StopRequested:
        terminal.line("asked to stop")
"""
# After each signal more than the launcher keeps, then lines that are hard to show.
TALKATIVE = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
lines = "".join("line %094d\\n" % number for number in range(1000))
for burst in range(3):
    for _ in range(100):
        sys.stdout.write(lines)
    sys.stdout.write("x" * 1_000_000 + f"\\n\\0\\x1b\\n{os.getpid()} end\\n")
    sys.stdout.flush()
    signal.sigwait({signal.SIGUSR1})
"""
# Many times what the launcher keeps.
FLOOD = """
import signal, sys
from pathlib import Path
for _ in range(80):
    sys.stdout.write(("x" * 999 + "\\n") * 1_000)
Path(%r).touch()
signal.pause()
"""


@contextmanager
def showing(child: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A launcher that shows a child's output, and the pipe to which it does."""
    command = [sys.executable, "-c", SHOWING, child]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=clean_environment()) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.fileno()
        finally:
            process.kill()


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def kept_output(pid: int) -> int:
    """The bytes of children's output that the launcher holds."""
    files = [path for path in Path(f"/proc/{pid}/fd").iterdir() if "memfd:" in str(path.readlink())]
    return sum(path.stat().st_blocks * 512 for path in files)


def test_output_far_beyond_what_is_kept_costs_the_launcher_nothing() -> None:
    """The launcher read its own holes, gigabytes of NUL, at each look."""
    shown = bytearray()
    with showing(TALKATIVE) as (process, pipe):
        for burst in range(3):
            while not shown.endswith(b"end\n"):
                shown += os.read(pipe, 1_000_000) or b"end\n"
            if burst < 2:
                shown += b"\n"
                os.kill(int(shown.split()[-2]), signal.SIGUSR1)
        used = processor_seconds(process.pid)
        assert not select.select([pipe], [], [], 1)[0]
        used = processor_seconds(process.pid) - used
        resident, kept = resident_bytes(process.pid), kept_output(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        rest = os.read(pipe, 1_000)

    lines = [line.partition("│ ")[2] for line in shown.decode().splitlines()]
    missed = sum(
        int(found[1]) for line in lines if (found := re.fullmatch(r"… (\d+) bytes .* left out", line))
    )
    assert (
        sum(len(line) + 1 for line in lines if line.startswith("line ")) + missed >= 29_900_000
    )  # lines were cut
    assert sum(len(line) for line in lines if set(line) == {"x"}) == 3_000_000
    assert lines.count(r"\x00\x1b") == 3
    assert b"\0" not in shown
    assert rest.decode() == "asked to stop\n"
    assert resident < 60_000_000
    assert kept < 10_000_000
    assert used <= 0.02


def test_launcher_with_a_blocked_terminal_is_small_and_stops(tmp_path: Path) -> None:
    written = tmp_path / "written"
    with showing(FLOOD % str(written)) as (process, _):
        wait_for(written.exists, seconds=60, what="the end of the output")
        wait_for(lambda: kept_output(process.pid) < 8_500_000, seconds=60, what="room in the store")
        assert kept_output(process.pid) > 8_000_000
        assert resident_bytes(process.pid) < 60_000_000

        process.send_signal(signal.SIGINT)

        assert process.wait(60) == 0
