"""Odd messages, and too many messages: none of them fails a run with an unexpected error."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any  # JSON

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.agents.errors import AgentCrashed, AgentError, AgentFailed
from tests.agents.conftest import Runner, eventually, scripted_adapter
from tests.agents.session.test_agent_session import Stage

pytestmark = pytest.mark.walls


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def update(fields: str) -> str:
    return f'{{"jsonrpc":"2.0","method":"session/update","params":{{"sessionId":"s","update":{{{fields}}}}}}}'


def tool_call(raw_output: str) -> str:
    return update(f'"sessionUpdate":"tool_call","toolCallId":"t","title":"T","rawOutput":{raw_output}')


LEFT_OUT = {
    "more than 64 bits": tool_call("18446744073709551616"),
    "fewer than 64 bits": tool_call("-9223372036854775809"),
    "deeper than the log": tool_call(nested(300)),
    "deeper than Python": tool_call(nested(100_000)),
    "many values": tool_call("[" + "1," * 300_000 + "1]"),
}


async def test_updates_that_no_log_holds_are_replaced_by_notes(runner: Runner) -> None:
    prompt = json.dumps([*LEFT_OUT.values(), update('"sessionUpdate":"plan","entries":[]'), ""])
    outcome = await runner.run(prompt, adapter=scripted_adapter("raw"))

    assert outcome.done.summary == ""
    orjson.dumps(outcome.entries)
    said = [entry["notification"]["params"].get("message", "") for entry in outcome.entries]
    notes = [each for each in said if each.startswith("An update of the agent is left out: it ")]
    assert len(notes) == len(LEFT_OUT)
    assert len(outcome.updates("plan")) == 1, "what comes after them is there"


KEPT = {
    "as large as it gets": tool_call("18446744073709551615"),
    "status that is an object": update('"sessionUpdate":"tool_call_update","toolCallId":"t","status":{}'),
    "kind that is a list": update('"sessionUpdate":["x"],"toolCallId":["t"]'),
    "content that is a number": update('"sessionUpdate":"agent_message_chunk","content":5,"messageId":{}'),
    "usage": update(
        '"sessionUpdate":"usage_update","used":1e999,"size":[],"cost":{"amount":"x","currency":[]}'
    ),
    "not a number": tool_call("NaN"),
    "half a character": tool_call('"\\ud800"'),
}


async def test_odd_updates_reach_the_log(runner: Runner) -> None:
    outcome = await runner.run(json.dumps([*KEPT.values(), ""]), adapter=scripted_adapter("raw"))

    assert outcome.done
    orjson.dumps(outcome.entries)
    updates = [entry for entry in outcome.entries if entry["notification"]["method"] == "session/update"]
    assert len(updates) == len(KEPT)


BROKEN = {
    "stop reason that is an object": ["", '{"result":{"stopReason":{}}}'],
    "stop reason that nobody knows": ["", '{"result":{"stopReason":"tired"}}'],
    "answer that is a text": ["", '{"result":"end_turn"}'],
    "answer that is nothing": ["", '{"result":null}'],
    "error that is a text": ["", '{"error":"no"}'],
    "id that is a list": ['{"jsonrpc":"2.0","id":[1],"result":{}}', ""],
    "method that is an object": ['{"jsonrpc":"2.0","id":7,"method":{}}', ""],
    "question that nests": [
        f'{{"id":7,"method":"session/request_permission","params":{nested(100_000)}}}',
        "",
    ],
}


@pytest.mark.parametrize("lines", BROKEN.values(), ids=BROKEN)
async def test_agent_that_breaks_the_protocol_fails_as_that(stage: Stage, lines: list[str]) -> None:
    async with stage.play("raw") as talk:
        with pytest.raises(AgentCrashed, match="broke the protocol"):
            await talk.prompt(json.dumps(lines))


async def test_work_of_an_agent_that_breaks_the_protocol_is_kept(runner: Runner) -> None:
    lines = BROKEN["answer that is a text"]
    outcome = await runner.run(json.dumps(lines), adapter=scripted_adapter("raw"))

    assert isinstance(outcome.failed, AgentCrashed), outcome.failed
    assert outcome.failed.partial is not None
    assert outcome.failed.partial.files_changed == ["f"]


async def test_error_of_any_kind_is_words(runner: Runner) -> None:
    answer = '{"error":{"code":{},"message":["\\ud800"],"data":{"details":{"x":"\\ud800"}}}}'
    outcome = await runner.run(json.dumps([answer]), adapter=scripted_adapter("raw"))

    assert isinstance(outcome.failed, AgentFailed)
    outcome.failed.message.encode()


FIELDS = (
    *("sessionId", "update", "sessionUpdate", "toolCall", "toolCallId", "options", "optionId", "kind"),
    *("name", "content", "type", "text", "path", "line", "limit", "stopReason"),
    *("usage", "_meta", "status", "messageId", "used", "cost", "amount", "terminalId"),
    *("command", "args", "env", "cwd", "code", "data"),
)
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats()
    | st.sampled_from(["s", "t", "end_turn", "allow_once", "tool_call", "completed", "\ud800", "\0", "file"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
METHODS = st.sampled_from(
    [
        *("session/update", "session/request_permission", "fs/read_text_file", "fs/write_text_file"),
        *("terminal/output", "terminal/release", "session/elicitation", "_vendor/x", "unknown", 5),
    ]
)
LINES = st.builds(
    lambda message, params: json.dumps({**message, "params": params}),
    st.fixed_dictionaries({"method": METHODS}, optional={"id": ANY, "jsonrpc": st.just("2.0")}),
    st.builds(lambda params: {"sessionId": "s", **params} if isinstance(params, dict) else params, ANY),
)
ANSWERS = st.just("") | st.builds(
    json.dumps, st.dictionaries(st.sampled_from(["result", "error"]), ANY, max_size=2)
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.tuples(st.lists(LINES, max_size=8), ANSWERS), min_size=1, max_size=3))
def test_no_message_is_unexpected(stage: Stage, batches: list[tuple[list[str], str]]) -> None:
    asyncio.run(_talk(stage, batches))


async def _talk(stage: Stage, batches: list[tuple[list[str], str]]) -> None:
    async with stage.play("raw") as talk:
        for lines, answer in batches:
            async with asyncio.timeout(120):
                try:
                    await talk.prompt(json.dumps([*lines, answer]))
                except AgentError as error:
                    error.message.encode()
                    return


async def test_noise_is_logged_up_to_a_number_of_lines(stage: Stage) -> None:
    with capture_logs() as logs:
        async with stage.play("noisy") as talk:
            await talk.prompt()

    assert [entry["event"] for entry in logs].count("agent.noise") == 20
    assert [entry["lines"] for entry in logs if entry["event"] == "agent.more_noise"] == [19_980]


def resident_bytes() -> int:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


# A megabyte of text that takes four bytes a letter in memory.
WIDE = "printf '\\360\\237\\230\\200'; head -c 1048000 /dev/zero | tr '\\0' x"
FLOODS = {
    # Six times as long in JSON.
    "files": ("fs/read_text_file", {"sessionId": "s", "path": "file"}, ""),
    "output of terminals": ("terminal/output", {"sessionId": "s"}, WIDE),
    # Each of the library's complaints repeats what it complains of.
    "malformed questions": (
        "session/request_permission",
        {"toolCall": ["x" * 10_000] * 20, "options": [{}] * 20},
        "",
    ),
    "terminals to wait for": ("terminal/wait_for_exit", {"sessionId": "s", "terminalId": "x" * 100_000}, ""),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
async def test_agent_that_does_not_read_answers_costs_the_worker_little(
    stage: Stage,
    flood: tuple[str, dict[str, Any], str],
) -> None:
    method, params, command = flood
    async with stage.play("ask_much") as talk:
        (talk.work / "file").write_bytes(b"\x01" * 1_000_000)
        at_rest = resident_bytes()
        wanted = {"times": 40, "method": method, "params": params, "command": command}
        prompting = asyncio.create_task(talk.prompt(json.dumps(wanted)))
        seen: list[int] = []
        since_asked: list[int] = []

        def is_steady() -> bool:
            seen.append(resident_bytes())
            if (talk.work / "asked").exists():
                since_asked.append(seen[-1])
            last = since_asked[-20:]
            return len(last) == 20 and max(last) - min(last) < 2**20

        await eventually(is_steady)
        (talk.work / "read").touch()
        await prompting
    # Forty files, read and not sent, would be 40 or more, and outputs 160.
    most = {"fs/read_text_file": 30, "terminal/output": 60}.get(method, 300)
    assert max(seen) - at_rest < most * 2**20
    assert len(json.loads(talk.said()[-1])) == 40, "each is answered, once the agent reads"


async def test_large_file_is_refused_and_not_cut(stage: Stage) -> None:
    wanted = {"method": "fs/read_text_file", "params": {"sessionId": "s", "path": "file"}}
    async with stage.play("request") as talk:
        (talk.work / "file").write_bytes(b"x" * 4_200_000)
        await talk.prompt(json.dumps(wanted))

    assert "larger than 4194304 bytes" in talk.said()[-1]


async def test_refusal_of_a_malformed_request_does_not_repeat_it(stage: Stage) -> None:
    """The library repeats all of it with each problem that it finds."""
    method, params, _ = FLOODS["malformed questions"]
    async with stage.play("request") as talk:
        await talk.prompt(json.dumps({"method": method, "params": params}))

    assert "errors" in talk.said()[-1]
    assert len(talk.said()[-1]) < 10_000


async def test_requests_beyond_a_number_are_refused_and_the_others_go_on(stage: Stage) -> None:
    questions = {"sessionId": "s", "toolCall": {"toolCallId": "t"}, "options": []}
    async with stage.play("ask_much") as talk:
        talk.decide_after.clear()
        wanted = {"times": 100, "method": "session/request_permission", "params": questions}
        prompting = asyncio.create_task(talk.prompt(json.dumps(wanted)))
        (talk.work / "read").touch()
        await eventually(lambda: talk.asked == 64)
        talk.decide_after.set()
        await prompting

    assert json.loads(talk.said()[-1]).count(True) == 64
