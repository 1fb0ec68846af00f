"""The runbook agent as a partner in a conversation that goes on after a prompt."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from acp.helpers import text_block

from app.agents.adapters.catalog import load_catalog
from app.agents.errors import AgentFailed, AgentStepFailed
from app.agents.sandbox.confinement import Streams, confined_environment
from app.agents.session.agent_questions import describe
from app.agents.session.agent_session import AgentSession
from app.agents.session.permissions import PermissionAnswer, PermissionRequest
from app.agents.session.transport import LINE_LIMIT
from app.dialogue.shown_questions import TITLE_CHARACTERS
from app.enums import SandboxKind
from tests.agents.conftest import CellMaker, eventually, find_sandbox
from tests.support.marked import processes_with


@dataclass
class Conversation:
    session: AgentSession
    work: Path
    updates: list[dict[str, Any]]
    questions: list[PermissionRequest]

    async def prompt(self, *texts: str) -> str:
        return await self.session.prompt([text_block(text) for text in texts])

    def file(self, name: str) -> str:
        return (self.work / name).read_text()


@pytest.fixture
async def conversation(make_cell: CellMaker) -> AsyncIterator[Conversation]:
    cell = make_cell(await find_sandbox(SandboxKind.NONE))
    process = await cell.sandbox.start(
        load_catalog().find("runbook").command,
        cell.confinement,
        confined_environment(os.environ),
        streams=Streams(stdin=asyncio.subprocess.PIPE, limit=LINE_LIMIT),
    )
    updates: list[dict[str, Any]] = []
    questions: list[PermissionRequest] = []

    async def emit(entry: dict[str, Any]) -> None:
        updates.append(entry["notification"]["params"]["update"])

    async def take_the_last(question: PermissionRequest) -> PermissionAnswer | None:
        questions.append(question)
        return PermissionAnswer(question.options[-1].option_id)

    work = cell.confinement.places.work
    session = AgentSession(process, load_catalog().find("runbook"), work, emit=emit, decide=take_the_last)
    try:
        await session.start()
        yield Conversation(session, work, updates, questions)
    finally:
        await session.close()


async def test_prompts_follow_each_other_also_after_a_failure(conversation: Conversation) -> None:
    await conversation.prompt("```sh\necho 1 > one\n```")
    with pytest.raises(AgentStepFailed):
        await conversation.prompt("```sh\nexit 1\n```")
    with pytest.raises(AgentStepFailed):
        await conversation.prompt("```bash\nfalse | cat\n```")
    with pytest.raises(AgentFailed, match="never closed"):
        await conversation.prompt("```sh\n")
    await conversation.prompt("```sh\ncat one > two\n```")

    assert conversation.file("two") == "1\n"


async def test_cancelling_ends_the_running_step_and_no_other_follows(
    conversation: Conversation, tmp_path: Path
) -> None:
    marker = f"86400.{abs(hash(tmp_path)) % 10**9}6"
    prompt = asyncio.create_task(
        conversation.prompt(f"```sh\nsleep {marker}\n```\n```sh\necho late > late\n```")
    )
    await eventually(lambda: processes_with(f"sleep\0{marker}") != [])

    await conversation.session.cancel()

    assert await prompt == "cancelled"
    await eventually(lambda: processes_with(marker) == [])
    assert await conversation.prompt("```sh\nls > listing\n```") == "end_turn"
    assert conversation.file("listing") == "listing\n"


async def test_program_in_the_background_lives_on_for_the_next_step(conversation: Conversation) -> None:
    await conversation.prompt(
        "```sh\nmkfifo pipe\n(cat pipe > received; echo done > done) &\n```\n"
        "```sh\necho hello > pipe\nuntil test -e done; do :; done\n```"
    )

    assert conversation.file("received") == "hello\n"


async def test_prompt_without_a_block_is_answered_with_what_to_do(conversation: Conversation) -> None:
    assert await conversation.prompt("Write a hello world program.") == "end_turn"

    said = conversation.updates[-1]["content"]["text"]
    assert said.startswith("There is nothing to run in this prompt.")
    assert "allow-failure" in said
    assert "start a run with another agent, such as `claude` or `codex`" in said
    assert "````text\n```sh\nls\n```\n````" in said


async def test_answer_is_the_one_that_was_chosen(conversation: Conversation) -> None:
    await conversation.prompt(
        "```ask options=red,green\nWhich?\n```\n```sh\necho $TASKBEACON_ANSWER > answer\n```"
    )

    assert conversation.file("answer") == "green\n"


@pytest.mark.parametrize(("words", "detail_words"), [(25, 0), (60, 60)])
async def test_whole_question_can_be_read(conversation: Conversation, words: int, detail_words: int) -> None:
    """Regression: a question ended after 80 characters."""
    text = " ".join(["delete?"] * words)

    await conversation.prompt(f"```ask\n{text}\n```")

    [question] = conversation.questions
    title = question.tool_call["title"]
    assert len(title) <= TITLE_CHARACTERS
    assert text.startswith(title.removesuffix("…"))
    assert describe(question.tool_call) == " ".join(["delete?"] * detail_words)
    assert detail_words or title == text


async def test_text_blocks_of_a_prompt_are_one_runbook(conversation: Conversation) -> None:
    await conversation.prompt("```sh\necho 1 > one", "```")

    assert conversation.file("one") == "1\n"


async def test_tool_calls_start_and_end_with_their_exit_status(conversation: Conversation) -> None:
    await conversation.prompt("```sh allow-failure\n\nexit 3\n```")

    start, end = [update for update in conversation.updates if "tool_call" in update["sessionUpdate"]]
    assert (start["title"], start["kind"], start["status"]) == ("sh: exit 3", "execute", "in_progress")
    assert start["toolCallId"] == end["toolCallId"]
    assert (end["status"], end["rawOutput"]) == ("failed", {"exitStatus": 3})
