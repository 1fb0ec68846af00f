"""Programs: input, output, end, and nothing left open or closed twice."""

import asyncio
import gc
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from app.processes.spawning import end_session, kill, spawn, wait_for_end
from tests.support.waiting import eventually, next_round

PIPE = asyncio.subprocess.PIPE


@pytest.fixture
def runner() -> asyncio.Runner:
    """A loop for one test, of the kind that the worker runs on."""
    return asyncio.Runner()


def open_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


async def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"  # noqa: ASYNC240 - no disk
    except OSError:
        return True


def await_end(pid: int) -> None:
    """Wait for the end of a child without a pause, and leave its exit status to others."""
    with suppress(ChildProcessError):
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            pass


def test_input_arrives_and_all_output_comes_back(runner: asyncio.Runner) -> None:
    async def talk() -> None:
        process = await spawn("sh", "-c", "cat; echo no >&2; exit 3", stdin=PIPE, stdout=PIPE, stderr=PIPE)
        text = b"x" * 300_000
        assert await process.communicate(text) == (text, b"no\n")
        assert process.returncode == 3

    with runner:
        runner.run(talk())


def test_ended_processes_leave_no_descriptor_open(runner: asyncio.Runner) -> None:
    async def talk() -> None:
        for _ in range(3):
            process = await spawn("cat", stdin=PIPE, stdout=PIPE, stderr=PIPE)
            await process.communicate(b"x")
        before = open_descriptors()
        for _ in range(10):
            process = await spawn("cat", stdin=PIPE, stdout=PIPE, stderr=PIPE)
            await process.communicate(b"x")
        with pytest.raises(FileNotFoundError):
            await spawn("/no/such/program", stdin=PIPE, stdout=PIPE)
        # Pipes are closed in the next round of the loop.
        await next_round()
        assert len(open_descriptors()) <= len(before)

    with runner:
        runner.run(talk())


def test_start_that_is_cancelled_leaves_neither_program_nor_pipe(runner: asyncio.Runner) -> None:
    """However far it has come: a pipe that the loop had not taken yet stayed open."""

    async def start(rounds: int) -> bool:
        starting = asyncio.create_task(spawn("sleep", "86400", stdin=PIPE, stdout=PIPE, stderr=PIPE))
        for _ in range(rounds):
            await next_round()
        is_cancelled = starting.cancel()
        [result] = await asyncio.gather(starting, return_exceptions=True)
        assert isinstance(result, asyncio.CancelledError) is is_cancelled
        if not isinstance(result, BaseException):
            result.kill()
            await result.wait()
        return is_cancelled

    async def start_all() -> None:
        await start(100)
        before = open_descriptors()
        cancelled = [await start(rounds) for rounds in range(1, 30)]
        assert (cancelled[0], cancelled[-1]) == (True, False)

        async def all_closed() -> bool:
            gc.collect()
            return len(open_descriptors()) <= len(before)

        await eventually(all_closed)

    with runner:
        runner.run(start_all())


def test_end_is_seen_by_all_who_wait_also_while_output_is_unread(runner: asyncio.Runner) -> None:
    async def talk() -> None:
        process = await spawn("sh", "-c", r"printf 'one\ntwo\n'; exec sleep 86400", stdout=PIPE)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"one\n"
        assert process.returncode is None
        given_up = asyncio.create_task(process.wait())
        await next_round()
        given_up.cancel()
        waiting = [asyncio.create_task(process.wait()) for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        assert await asyncio.gather(*waiting) == [-signal.SIGTERM, -signal.SIGTERM]
        assert await process.stdout.read() == b"two\n"
        with pytest.raises(ProcessLookupError):
            process.kill()

    with runner:
        runner.run(talk())


def test_program_that_ended_takes_no_more_input() -> None:
    async def talk() -> None:
        process = await spawn("true", stdin=PIPE, stdout=PIPE)
        assert await process.wait() == 0
        assert process.stdin is not None
        assert process.stdin.is_closing()
        await process.communicate(b"x" * 300_000)

    asyncio.run(talk())


def test_descriptors_are_closed_once(runner: asyncio.Runner) -> None:
    """A transport and the file that it was given once closed a pipe both: a thread lost what it had opened since."""
    lost: list[OSError] = []
    done = threading.Event()

    def open_files() -> None:
        while not done.is_set():
            try:
                descriptor = os.open("/dev/null", os.O_RDONLY)
                os.fstat(descriptor)
                os.close(descriptor)
            except OSError as error:
                lost.append(error)

    async def talk() -> None:
        process = await spawn("true", stdin=PIPE, stdout=PIPE, stderr=PIPE)
        await process.communicate(b"")

    async def start_many() -> None:
        for _ in range(50):
            await asyncio.wait_for(asyncio.gather(*(talk() for _ in range(4))), 120)

    with ThreadPoolExecutor(1) as pool, runner:
        opening = pool.submit(open_files)
        try:
            runner.run(start_many())
        finally:
            done.set()
        opening.result()
    assert lost == []


def test_end_of_a_killed_program_is_noticed_though_its_output_is_not_read(runner: asyncio.Runner) -> None:
    async def talk() -> None:
        process = await spawn("sh", "-c", "exec yes", stdout=PIPE, limit=2**10, start_new_session=True)
        assert process.stdout is not None
        await process.stdout.readline()
        process.kill()
        assert await wait_for_end(process) == -signal.SIGKILL

    with runner:
        runner.run(talk())


def test_program_that_is_killed_as_it_ends_has_its_own_status(runner: asyncio.Runner) -> None:
    """`Process.kill` looked for its end, sometimes before asyncio did, which then said 255 and logged a warning."""

    async def end_many() -> set[int]:
        statuses = set()
        for _ in range(200):
            process = await spawn("sleep", "1000")
            os.kill(process.pid, signal.SIGKILL)
            await_end(process.pid)
            kill(process)
            statuses.add(await process.wait())
        return statuses

    before = os.sched_getaffinity(0)
    # On one processor this thread goes on before that of asyncio is woken.
    os.sched_setaffinity(0, {min(before)})
    try:
        with runner:
            assert runner.run(end_many()) == {-signal.SIGKILL}
    finally:
        os.sched_setaffinity(0, before)


def test_helpers_end_with_their_session_also_after_its_leader(runner: asyncio.Runner) -> None:
    async def talk() -> None:
        process = await spawn("sh", "-c", "sleep 86400 & echo $!", stdout=PIPE, start_new_session=True)
        assert process.stdout is not None
        helper = int(await process.stdout.readline())
        await asyncio.wait_for(end_session(process), 120)
        assert process.stdout.at_eof()
        await eventually(lambda: is_gone(helper))

    with runner:
        runner.run(talk())


def test_folder_environment_session_and_descriptors_are_as_asked(
    runner: asyncio.Runner, tmp_path: Path
) -> None:
    async def talk() -> None:
        reader, writer = os.pipe()
        os.write(writer, b"lent\n")
        os.close(writer)
        process = await spawn(
            *("sh", "-c", f"pwd; echo $ONLY; cat /proc/self/fd/{reader}; cat"),
            cwd=tmp_path,
            env={"ONLY": "this", "PATH": os.environ["PATH"]},
            stdin=PIPE,
            stdout=PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[reader],
        )
        os.close(reader)
        assert os.getsid(process.pid) == process.pid
        output, _ = await process.communicate(b"")
        assert output.decode().splitlines() == [str(tmp_path), "this", "lent"]

    with runner:
        runner.run(talk())
