"""Conversations with real processes that play well- and ill-behaved agents."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from acp.helpers import text_block
from acp.schema import PermissionOption

from app.agents.errors import AgentCrashed, AgentFailed
from app.agents.sandbox.confined_process import ConfinedProcess
from app.agents.sandbox.confinement import Streams, confined_environment
from app.agents.session.agent_session import AgentSession
from app.agents.session.permissions import PermissionAnswer, PermissionRequest, decide
from app.agents.session.transport import LINE_LIMIT
from app.enums import SandboxKind
from tests.agents.conftest import SCRIPT, CellMaker, eventually, find_sandbox, scripted_adapter
from tests.support.clock import let_time_pass
from tests.support.waiting import next_round


@dataclass
class Talk:
    """A live session, and the entries that it has logged so far."""

    session: AgentSession
    work: Path
    updates: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    asked: int = 0
    decide_after: asyncio.Event = field(default_factory=asyncio.Event)

    async def prompt(self, text: str = "go") -> str:
        return await self.session.prompt([text_block(text)])

    def said(self) -> list[str]:
        return [
            update["content"]["text"] for update in self.updates if update["sessionUpdate"] == "agent_message"
        ]


class Stage:
    """Starts agents that play a part."""

    def __init__(self, make_cell: CellMaker) -> None:
        self._make_cell = make_cell
        self._plays = 0

    @asynccontextmanager
    async def play(
        self,
        part: str,
        mode: str | None = None,
        *,
        start: bool = True,
        writable: str = ".",
        see: Callable[[dict[str, Any]], None] | None = None,
    ) -> AsyncIterator[Talk]:
        """Yield a session with an agent that plays a part; `see` is called with each of its updates."""
        self._plays += 1
        cell = self._make_cell(await find_sandbox(SandboxKind.NONE), f"play{self._plays}")
        environment = confined_environment(os.environ)
        process = await cell.sandbox.start(
            [sys.executable, "-I", "-S", str(SCRIPT), part],
            cell.confinement,
            environment,
            streams=Streams(stdin=asyncio.subprocess.PIPE, limit=LINE_LIMIT),
        )

        async def start_command(command: Sequence[str], variables: Mapping[str, str]) -> ConfinedProcess:
            return await cell.sandbox.start(command, cell.confinement, {**environment, **variables})

        updates: list[dict[str, Any]] = []
        notes: list[str] = []

        async def emit(entry: dict[str, Any]) -> None:
            orjson.dumps(entry)  # as the log does
            params = entry["notification"]["params"]
            if "update" in params:
                updates.append(params["update"])
                if see is not None:
                    see(params["update"])
            else:
                notes.append(params["message"])

        async def answer(question: PermissionRequest) -> PermissionAnswer | None:
            talk.asked += 1
            await talk.decide_after.wait()
            chosen = decide(mode, question.options)
            return None if chosen is None else PermissionAnswer(chosen)

        work = cell.confinement.places.work
        adapter = scripted_adapter(part)
        session = AgentSession(
            process,
            adapter,
            work,
            emit=emit,
            decide=answer,
            writable=writable,
            start_command=start_command,
            close_seconds=0.5,  # agents here do not end by themselves
        )
        talk = Talk(session, work, updates, notes)
        talk.decide_after.set()
        try:
            if start:
                await session.start()
            yield talk
        finally:
            await session.close()
            assert process.returncode is not None


async def test_prompts_can_follow_each_other(stage: Stage) -> None:
    async with stage.play("echo") as talk:
        assert [await talk.prompt("one"), await talk.prompt("two")] == ["end_turn", "end_turn"]

    assert [json.loads(said)[0]["text"] for said in talk.said()] == ["one", "two"]


async def test_pieces_are_logged_as_they_come_and_whole_once(stage: Stage) -> None:
    async with stage.play("pieces") as talk:
        await talk.prompt()

    assert [(update["sessionUpdate"], update.get("content", {}).get("text")) for update in talk.updates] == [
        ("agent_message_chunk", "Hel"),
        ("agent_message_chunk", "lo."),
        ("agent_message", "Hello."),
        ("tool_call", None),
        ("agent_message_chunk", "One"),
        ("agent_message", "One"),
        ("agent_message_chunk", "Two"),
        ("agent_message", "Two"),
    ]
    assert talk.session.last_message == "Two"


async def test_fields_and_updates_from_the_future_reach_the_log_unchanged(stage: Stage) -> None:
    async with stage.play("pieces") as talk:
        await talk.prompt()
    assert talk.updates[3]["fromTheFuture"] == {"x": 1}


async def test_unknown_kinds_of_updates_are_kept(stage: Stage) -> None:
    async with stage.play("unknown_update") as talk:
        assert await talk.prompt() == "end_turn"
    assert talk.updates == [{"sessionUpdate": "hologram", "shape": "sphere"}]


async def test_characters_that_cannot_be_stored_are_replaced(stage: Stage) -> None:
    async with stage.play("unstorable") as talk:
        assert await talk.prompt() == "end_turn"
    assert talk.said() == ["half \ufffd a pair, \ufffd nothing"]


async def test_noise_on_the_line_is_ignored(stage: Stage) -> None:
    async with stage.play("noise") as talk:
        assert await talk.prompt() == "end_turn"
    assert talk.said() == ["still here"]


async def test_order_is_kept_under_a_flood(stage: Stage) -> None:
    async with stage.play("flood") as talk:
        await talk.prompt()
    assert [update["number"] for update in talk.updates] == list(range(20_000))


async def test_error_of_the_agent_is_reported_in_its_words(stage: Stage) -> None:
    async with stage.play("error") as talk:
        with pytest.raises(AgentFailed, match="'actor' reported an error: Authentication required: log in"):
            await talk.prompt()


async def test_agent_that_leaves_a_request_without_an_answer_is_no_agent_that_did_not_start(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage.play("options") as talk:
        choosing = asyncio.create_task(talk.session.configure("m", "forever"))
        await next_round()
        let_time_pass(monkeypatch, seconds=120)
        with pytest.raises(AgentCrashed, match=r"'actor' did not answer within 120 s\."):
            await choosing


async def test_crash_is_reported_with_status_and_last_output(stage: Stage) -> None:
    async with stage.play("crash") as talk:
        with pytest.raises(AgentCrashed) as caught:
            await talk.prompt()
    assert "exit status 9" in caught.value.message
    assert caught.value.message.endswith("the last words")
    assert len(caught.value.message) < 2000


async def test_agent_that_hangs_up_is_ended(stage: Stage) -> None:
    async with stage.play("hang_up") as talk:
        with pytest.raises(AgentCrashed, match="ended unexpectedly"):
            await talk.prompt()


async def test_line_without_end_breaks_the_protocol(stage: Stage) -> None:
    async with stage.play("long_line") as talk:
        with pytest.raises(AgentCrashed, match="broke the protocol: it sent a line of more than 8 MiB"):
            await talk.prompt()


async def test_agent_that_never_stops_talking_is_ended(stage: Stage) -> None:
    async with stage.play("talk_on") as talk:
        assert await talk.prompt() == "end_turn"


async def test_other_version_of_the_protocol_is_refused(stage: Stage) -> None:
    async with stage.play("other_version", start=False) as talk:
        with pytest.raises(AgentCrashed, match="speaks version 99 of the protocol; this worker speaks 1"):
            await talk.session.start()


async def test_words_before_a_silence_are_stored_and_cancelling_ends_the_prompt(stage: Stage) -> None:
    async with stage.play("wait_for_cancel") as talk:
        prompt = asyncio.create_task(talk.prompt())
        await eventually(lambda: talk.said() == ["waiting"])
        await talk.session.cancel()
        async with asyncio.timeout(120):
            assert await prompt == "cancelled"


@pytest.mark.parametrize(
    ("mode", "chosen"),
    [(None, "once"), ("default", "once"), ("bypassPermissions", "once"), ("plan", "no"), ("read-only", "no")],
)
async def test_permission_is_answered_by_the_mode(stage: Stage, mode: str | None, chosen: str) -> None:
    async with stage.play("permission", mode) as talk:
        await talk.prompt()
    assert json.loads(talk.said()[0])["result"]["outcome"] == {"outcome": "selected", "optionId": chosen}
    # The agent sent the call only with its question.
    assert talk.updates[0] == {"sessionUpdate": "tool_call", "toolCallId": "t", "title": ""}


def test_question_without_a_fitting_answer_is_cancelled() -> None:
    refuse = PermissionOption(option_id="no", name="No", kind="reject_once")
    allow = PermissionOption(option_id="all", name="All", kind="allow_always")

    assert decide("default", [refuse]) is None
    assert decide("plan", [allow]) is None
    assert decide("default", [refuse, allow]) == "all"


async def test_unknown_request_is_refused(stage: Stage) -> None:
    async with stage.play("request") as talk:
        await talk.prompt(json.dumps({"method": "session/hologram", "params": {}}))
    assert json.loads(talk.said()[0])["error"]["code"] == -32601


async def test_options_are_set_where_the_agent_offers_them(stage: Stage) -> None:
    async with stage.play("options") as talk:
        options = [
            ("mode", "plan"),
            ("mode", "x"),
            ("model", "large"),
            ("model", "x"),
            ("thought_level", "max"),
        ]
        assert [await talk.session.choose(*wish) for wish in options] == [True, False, True, False, False]
        await talk.prompt()
    assert json.loads(talk.said()[0]) == [
        {"sessionId": "s", "modeId": "plan"},
        {"sessionId": "s", "configId": "m", "value": "large"},
    ]


def furnish(work: Path) -> None:
    (work / "file.txt").write_text("one\ntwo\nthree\n")
    (work / "link").symlink_to("/etc")


async def ask_for_file(stage: Stage, method: str, path: str, **params: Any) -> tuple[dict[str, Any], Path]:
    async with stage.play("request") as talk:
        furnish(talk.work)
        await talk.prompt(json.dumps({"method": f"fs/{method}", "params": {"path": path, **params}}))
    answer: dict[str, Any] = json.loads(talk.said()[0])
    return answer, talk.work


@pytest.mark.parametrize(
    ("params", "content"),
    [
        ({}, "one\ntwo\nthree\n"),
        ({"line": 2}, "two\nthree\n"),
        ({"line": 2, "limit": 1}, "two\n"),
        ({"line": 9}, ""),
    ],
)
async def test_files_of_the_workspace_are_read(stage: Stage, params: dict[str, int], content: str) -> None:
    answer, _ = await ask_for_file(stage, "read_text_file", "file.txt", **params)
    assert answer["result"] == {"content": content}


async def test_files_of_the_workspace_are_written(stage: Stage) -> None:
    answer, work = await ask_for_file(stage, "write_text_file", "new/file.txt", content="é")
    assert "error" not in answer
    assert (work / "new/file.txt").read_text() == "é"


@pytest.mark.parametrize("path", ["/etc/passwd", "../../outside", "link/passwd"])
@pytest.mark.parametrize("method", ["read_text_file", "write_text_file"])
async def test_files_outside_are_refused(stage: Stage, method: str, path: str) -> None:
    answer, work = await ask_for_file(stage, method, path, **({"content": "x"} if "write" in method else {}))
    assert "leads out of the workspace" in answer["error"]["data"]["details"]
    assert not (work.parents[1] / "outside").exists()


async def test_files_are_written_where_the_workspace_is_writable_only(stage: Stage) -> None:
    async with stage.play("request", writable="out") as talk:
        (talk.work / "out").mkdir()
        for path in ("file.txt", "out/file.txt"):
            params = {"path": path, "content": "x"}
            await talk.prompt(json.dumps({"method": "fs/write_text_file", "params": params}))

        assert ["error" in json.loads(said) for said in talk.said()] == [True, False]
        assert not (talk.work / "file.txt").exists()
        assert (talk.work / "out/file.txt").read_text() == "x"


async def test_missing_file_is_not_found(stage: Stage) -> None:
    answer, _ = await ask_for_file(stage, "read_text_file", "nope")
    assert answer["error"]["code"] == -32002
