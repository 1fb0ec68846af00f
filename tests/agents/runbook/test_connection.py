"""The runbook agent's end of the connection: what the protocol's library, as its client, never sends."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.processes.own_program import module_command
from tests.agents.conftest import eventually
from tests.support.marked import processes_with


class Agent:
    """The agent as a process, spoken to line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._count = 0

    def write(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    async def ask(self, method: str, params: Any) -> dict[str, Any]:
        """Return the response to a request; notifications in the meantime are skipped."""
        self._count += 1
        self.write({"id": self._count, "method": method, "params": params})
        return await self.answer_to(self._count)

    async def perform(self, folder: Path, text: str) -> dict[str, Any]:
        """Return the answer to a prompt of a session of its own."""
        session = (await self.ask("session/new", {"cwd": str(folder)}))["result"]["sessionId"]
        return await self.ask("session/prompt", {"sessionId": session, "prompt": prompt_of(text)})

    async def answer_to(self, number: int) -> dict[str, Any]:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            answer: dict[str, Any] = json.loads(line)
            if answer.get("id") == number and "method" not in answer:
                return answer
        raise AssertionError("the agent ended")


def prompt_of(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


@asynccontextmanager
async def running(
    folder: Path, *, ignoring: signal.Signals | None = None, **variables: str
) -> AsyncIterator[Agent]:
    """Run the agent in a folder, started by who ignores a signal."""
    process = await asyncio.create_subprocess_exec(
        *module_command("app.agents.runbook"),
        cwd=folder,
        env={**os.environ, **variables},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=None if ignoring is None else partial(signal.signal, ignoring, signal.SIG_IGN),
    )
    assert process.stdin is not None
    try:
        yield Agent(process)
    finally:
        process.stdin.close()
        await process.communicate()


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    async with running(tmp_path) as agent:
        yield agent


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("session/fork", {}, -32601),
        ("session/prompt", {"sessionId": "none", "prompt": []}, -32602),
        ("session/new", {}, -32603),
        ("session/new", None, -32603),
    ],
)
async def test_what_it_cannot_do_is_answered_and_ends_nothing(
    agent: Agent, method: str, params: Any, code: int
) -> None:
    refused = await agent.ask(method, params)

    assert refused["error"]["code"] == code
    assert "result" not in refused
    assert (await agent.ask("initialize", {"protocolVersion": 1}))["result"]["protocolVersion"] == 1


async def test_notification_that_it_does_not_know_is_passed_over(agent: Agent) -> None:
    agent.write({"method": "session/unheard", "params": {}})

    assert "result" in await agent.ask("initialize", {"protocolVersion": 1})


async def test_answer_to_a_question_that_it_did_not_ask_is_passed_over(agent: Agent) -> None:
    agent.write({"id": 7, "result": {}})

    assert "result" in await agent.ask("initialize", {"protocolVersion": 1})


async def test_client_that_leaves_ends_what_is_running(agent: Agent, tmp_path: Path) -> None:
    marker = f"86400.{abs(hash(tmp_path)) % 10**9}7"
    session = (await agent.ask("session/new", {"cwd": str(tmp_path)}))["result"]["sessionId"]
    prompt = prompt_of(f"```sh\nsleep {marker}\n```")
    agent.write({"id": 99, "method": "session/prompt", "params": {"sessionId": session, "prompt": prompt}})
    await eventually(lambda: processes_with(f"sleep\0{marker}") != [])

    assert agent.process.stdin is not None
    agent.process.stdin.close()

    assert await agent.process.wait() == 0
    await eventually(lambda: processes_with(marker) == [])


async def test_cancelling_right_behind_a_prompt_ends_it(agent: Agent, tmp_path: Path) -> None:
    session = (await agent.ask("session/new", {"cwd": str(tmp_path)}))["result"]["sessionId"]
    prompt = prompt_of("```ask\nGo on?\n```")
    agent.write({"id": 99, "method": "session/prompt", "params": {"sessionId": session, "prompt": prompt}})
    agent.write({"method": "session/cancel", "params": {"sessionId": session}})

    assert (await agent.answer_to(99))["result"] == {"stopReason": "cancelled"}


async def test_step_that_takes_too_long_ends_and_the_next_has_its_own_time(
    agent: Agent, tmp_path: Path
) -> None:
    slow = "```sh allow-failure timeout=2\ntrap '' TERM; echo $$ > number; sleep 86400\n```"

    answer = await agent.perform(tmp_path, f"{slow}\n```sh\ntest -s number; ! kill -0 $(cat number)\n```")

    assert answer["result"] == {"stopReason": "end_turn"}


@pytest.mark.parametrize("folder", ["/nonexistent/folder", "here", "missing", ""])
async def test_step_is_never_a_file_of_the_workspace(tmp_path: Path, folder: str) -> None:
    (tmp_path / "here").mkdir()
    async with running(tmp_path, TMPDIR=folder) as agent:
        answer = await agent.perform(tmp_path, "```sh\nls -R > listing\n```")

    assert answer["result"] == {"stopReason": "end_turn"}
    assert (tmp_path / "listing").read_text() == ".:\nhere\nlisting\n\n./here:\n"


async def test_exit_status_counts_where_the_parent_ignores_child_signals(tmp_path: Path) -> None:
    async with running(tmp_path, ignoring=signal.SIGCHLD) as agent:
        answer = await agent.perform(tmp_path, "```sh\nexit 3\n```")

    assert "exit status 3" in answer["error"]["message"]


async def test_agent_ends_though_its_output_is_not_read(agent: Agent, tmp_path: Path) -> None:
    session = (await agent.ask("session/new", {"cwd": str(tmp_path)}))["result"]["sessionId"]
    prompt = prompt_of(f"```say\n{'word ' * 400_000}\n```\n```sh\ntouch never\n```")
    agent.write({"id": 99, "method": "session/prompt", "params": {"sessionId": session, "prompt": prompt}})
    assert agent.process.stdin is not None
    await agent.process.stdin.drain()

    agent.process.stdin.close()

    # asyncio has read what it has room for, and reads on only when asked to.
    await eventually(lambda: agent.process.returncode is not None)
    assert agent.process.returncode == 0
    assert not (tmp_path / "never").exists()


async def test_long_prompt_and_the_answer_to_it_fit_on_the_line(agent: Agent, tmp_path: Path) -> None:
    answer = await agent.perform(tmp_path, "prose " * 4_000_000)

    assert answer["result"] == {"stopReason": "end_turn"}
