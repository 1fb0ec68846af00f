"""Programs that the loop did not start itself: input, output, end, and nothing left open."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from app.agents.spawning import spawn
from tests.support.waiting import eventually, next_round

PIPE = asyncio.subprocess.PIPE


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def runner(request: pytest.FixtureRequest) -> asyncio.Runner:
    """The worker's loop, and that of Python, each for one test."""
    factory: Callable[[], asyncio.AbstractEventLoop] = request.param
    return asyncio.Runner(loop_factory=factory)


def open_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_input_arrives_and_all_output_comes_back(runner: asyncio.Runner) -> None:
    async def talk() -> None:
        process = await spawn("sh", "-c", "cat; echo no >&2; exit 3", stdin=PIPE, stdout=PIPE, stderr=PIPE)
        text = b"x" * 300_000
        assert await process.communicate(text) == (text, b"no\n")
        assert process.returncode == 3

    with runner:
        runner.run(talk())


def test_nothing_stays_open(runner: asyncio.Runner) -> None:
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


def test_program_that_ended_takes_no_more_input(runner: asyncio.Runner) -> None:
    async def talk() -> None:
        process = await spawn("true", stdin=PIPE, stdout=PIPE)
        assert await process.wait() == 0
        assert process.stdin is not None
        assert process.stdin.is_closing()
        await process.communicate(b"x" * 300_000)

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
        output, _ = await process.communicate()
        assert output.decode().splitlines() == [str(tmp_path), "this", "lent"]

    with runner:
        runner.run(talk())
