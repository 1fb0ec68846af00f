"""The runbook agent's own end of the line: what the protocol's library, as its client, never sends."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.agents.inside import module_command
from tests.agents.conftest import eventually, processes_with


class Agent:
    """The agent as a process, spoken to line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._count = 0

    def write(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    async def ask(self, method: str, params: Any) -> dict[str, Any]:
        """Return the answer to a request; what is told meanwhile is passed over."""
        self._count += 1
        self.write({"id": self._count, "method": method, "params": params})
        return await self.answer_to(self._count)

    async def answer_to(self, number: int) -> dict[str, Any]:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            answer: dict[str, Any] = json.loads(line)
            if answer.get("id") == number and "method" not in answer:
                return answer
        raise AssertionError("the agent ended")


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    process = await asyncio.create_subprocess_exec(
        *module_command("app.agents.runbook"),
        cwd=tmp_path,
        env=dict(os.environ),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    try:
        yield Agent(process)
    finally:
        process.stdin.close()
        await process.communicate()


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
    prompt = [{"type": "text", "text": f"```sh\nsleep {marker}\n```"}]
    agent.write({"id": 99, "method": "session/prompt", "params": {"sessionId": session, "prompt": prompt}})
    await eventually(lambda: processes_with(f"sleep\0{marker}") != [])

    assert agent.process.stdin is not None
    agent.process.stdin.close()

    assert await agent.process.wait() == 0
    await eventually(lambda: processes_with(marker) == [])


async def test_cancelling_right_behind_a_prompt_ends_it(agent: Agent, tmp_path: Path) -> None:
    session = (await agent.ask("session/new", {"cwd": str(tmp_path)}))["result"]["sessionId"]
    prompt = [{"type": "text", "text": "```ask\nGo on?\n```"}]
    agent.write({"id": 99, "method": "session/prompt", "params": {"sessionId": session, "prompt": prompt}})
    agent.write({"method": "session/cancel", "params": {"sessionId": session}})

    assert (await agent.answer_to(99))["result"] == {"stopReason": "cancelled"}


async def test_step_that_takes_too_long_ends_and_the_next_has_its_own_time(
    agent: Agent, tmp_path: Path
) -> None:
    session = (await agent.ask("session/new", {"cwd": str(tmp_path)}))["result"]["sessionId"]
    slow = "```sh allow-failure timeout=0.5\ntrap '' TERM; echo $$ > number; sleep 86400\n```"
    blocks = [{"type": "text", "text": f"{slow}\n```sh timeout=60\n! kill -0 $(cat number)\n```"}]

    answer = await agent.ask("session/prompt", {"sessionId": session, "prompt": blocks})

    assert answer["result"] == {"stopReason": "end_turn"}


async def test_long_prompt_and_the_answer_to_it_fit_on_the_line(agent: Agent, tmp_path: Path) -> None:
    session = (await agent.ask("session/new", {"cwd": str(tmp_path)}))["result"]["sessionId"]
    blocks: Sequence[Any] = [{"type": "text", "text": "prose " * 4_000_000}]

    answer = await agent.ask("session/prompt", {"sessionId": session, "prompt": blocks})

    assert answer["result"] == {"stopReason": "end_turn"}
