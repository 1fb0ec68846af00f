"""Real agents as they are, against a scripted model: run by `make test-agents`, once `make agents` was run.

Claude and Codex must be there; the others are tested where `make agents AGENTS="gemini opencode"` installed them.
"""

import asyncio
import gzip
import json
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.agents.adapters.adapter import AgentOptions
from app.agents.adapters.catalog import load_catalog
from app.agents.errors import AgentCancelled, AgentFailed, BudgetSpent
from app.agents.network.network_access import NetworkRules
from app.agents.sandbox.confinement import Sandbox
from app.agents.session.budget import Budget
from app.agents.session.command_source import TurnPolicy
from app.agents.session.usage_meter import UsageMeter
from app.agents.workspace.kept_session import unpack
from app.devstack.agent_installer import USUAL_AGENTS
from app.dialogue.agent_reports import AgentMessage
from app.dialogue.shown_questions import ShownQuestion
from app.enums import AgentNetwork, CommandMethod, CommandStatus, QuestionKind, Urgency
from app.ids import new_hex_id
from tests.agents.conftest import PUSH_BRANCH, GitFolder, Outcome, Runner, eventually
from tests.agents.session.test_conversation import Letters
from tests.agents.tools.test_server import Person
from tests.support.deployment.processes import free_port
from tests.support.marked import processes_with
from tests.support.stand_ins.model_server import ModelServer, Refuse, Say, Shell, Use, Write, model_server
from tests.support.stand_ins.real_agents import agents_folder, require_agent
from tests.support.waiting import patient

pytestmark = pytest.mark.real_agents

MODELS = {
    "claude": "claude-sonnet-4-6",
    "codex": "gpt-5.5",
    "gemini": "gemini-2.5-pro",
    "opencode": "openai/gpt-5.5",
}
# Within this one of them starts, and asks its model.
SHORT_SECONDS = 15
OWN_SERVER = """
[[adapters.opencode.files]]
path = ".config/opencode/opencode.json"
content = '''
{
  "provider": {
    "own": {
      "npm": "@ai-sdk/openai-compatible",
      "options": { "baseURL": "${OPENAI_BASE_URL}", "apiKey": "{env:OPENAI_API_KEY}" },
      "models": { "llama": {} }
    }
  },
  "model": "${model}",
  "agent": { "title": { "disable": true } }
}
'''
"""
SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}


@pytest.fixture
async def model() -> AsyncIterator[ModelServer]:
    async with model_server() as server:
        yield server


class RealRunner:
    """Performs runs with a real agent, which finds the scripted model where the worker's variables say."""

    def __init__(self, runner: Runner, model: ModelServer, sandbox: Sandbox, name: str) -> None:
        self._runner = runner
        self._name = name
        self._fields: dict[str, Any] = {
            "adapter": load_catalog().find(name),
            "programs": agents_folder(),
            "sandbox": sandbox,
            "network": NetworkRules(level=AgentNetwork.MODEL_ONLY),
            "environment": os.environ
            | {
                "ANTHROPIC_BASE_URL": model.url,
                "ANTHROPIC_API_KEY": "sk-ant-test",
                "OPENAI_BASE_URL": f"{model.url}/v1",
                "OPENAI_API_KEY": "sk-test",
                "GOOGLE_GEMINI_BASE_URL": model.url,
                "GEMINI_API_KEY": "gk-test",
                "DATABASE_URL": "postgresql://x:sauerkraut-41@db",
            },
        }

    async def run(self, prompt: str, *, options: AgentOptions | None = None, **changes: Any) -> Outcome:
        asked = options or AgentOptions()
        chosen = asked.model_copy(update={"model": asked.model or MODELS[self._name]})
        return await self._runner.run(prompt, **self._fields | {"options": chosen} | changes)

    def with_models_at(self, url: str) -> dict[str, str]:
        """Return the worker's variables with all models served elsewhere."""
        environment: dict[str, str] = self._fields["environment"]
        hosts = ("ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "OPENAI_BASE_URL")
        return environment | dict.fromkeys(hosts, url)


@pytest.fixture(params=MODELS)
def agent(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def real(runner: Runner, model: ModelServer, sandbox: Sandbox, agent: str) -> RealRunner:
    require_agent(agent, agents_folder())
    return RealRunner(runner, model, sandbox, agent)


def commands_run(outcome: Outcome) -> str:
    return json.dumps([*outcome.updates("tool_call"), *outcome.updates("tool_call_update")])


async def test_agent_works_in_the_sandbox_and_its_work_is_pushed(
    real: RealRunner, model: ModelServer, origin: GitFolder, agent: str
) -> None:
    model.play(
        Shell("echo more >> file0.txt; id -u; ls ..", before="I change the file."),
        Write("new.txt", "written by a tool\n"),
        Shell("env"),
        Say("The file has one more line."),
    )

    outcome = await real.run("Add a line to file0.txt.")

    done = outcome.done
    assert done.files_changed == ["file0.txt", "new.txt"]
    assert origin.git("show", f"{PUSH_BRANCH}:new.txt") == "written by a tool"
    assert origin.git("show", f"{PUSH_BRANCH}:file0.txt") == "content 0\nmore"
    assert done.summary == "The file has one more line."
    assert (
        next(update["content"]["text"] for update in outcome.updates("agent_message")) == "I change the file."
    )
    first, *_ = model.turns
    assert "Add a line to file0.txt." in first.text
    assert first.model == MODELS[agent].rpartition("/")[2]
    assert all("sauerkraut-41" not in asked.text for asked in model.asked), "a variable of the worker got in"
    assert "more >> file0.txt" in commands_run(outcome)
    calls = outcome.updates("tool_call")
    assert len({call["toolCallId"] for call in calls}) == len(calls) == 3, "each is introduced once"
    ended = {update["toolCallId"] for update in outcome.updates("tool_call_update") if "status" in update}
    assert ended == {call["toolCallId"] for call in calls}
    log = json.dumps(outcome.entries)
    assert "was refused" not in log, "it asked hosts that have nothing to do with its work"
    assert "does not offer" not in log


async def test_agent_gives_structured_output(real: RealRunner, model: ModelServer) -> None:
    model.play(Shell("echo '{\"n\": 7}' > .taskbeacon/output.json"), Say("Written."))

    outcome = await real.run("Count.", json_schema=SCHEMA)

    assert outcome.done.structured == {"n": 7}
    assert ".taskbeacon/output.json" in model.turns[0].text


async def test_agent_that_forgets_its_output_is_reminded(real: RealRunner, model: ModelServer) -> None:
    model.play(
        Say("I counted."), Shell("echo '{\"n\": 8}' > .taskbeacon/output.json"), Say("Now it is written.")
    )

    outcome = await real.run("Count.", json_schema=SCHEMA)

    assert outcome.done.structured == {"n": 8}
    assert "gave no structured output" in model.turns[1].text
    assert outcome.done.summary == "Now it is written."


async def test_what_the_agent_uses_is_counted(real: RealRunner, model: ModelServer, agent: str) -> None:
    model.play(Shell("true"), Say("Done."))
    meter = UsageMeter()

    await real.run("Do it.", meter=meter)

    report = meter.report()
    assert report is not None
    # OpenCode reports the tokens of its last request only, but the cost of all requests.
    total, taken, given = (1100, 1000, 100) if agent == "opencode" else (2200, 2000, 200)
    assert (report["total_tokens"], report["input_tokens"], report["output_tokens"]) == (total, taken, given)
    assert ("context_tokens" in report) == (agent != "gemini")
    assert ("cost" in report) == (agent in {"claude", "opencode"})


@pytest.mark.parametrize("agent", ["claude"])
async def test_claude_is_stopped_when_its_task_has_used_too_much(
    real: RealRunner, model: ModelServer
) -> None:
    model.play(*[Shell("true")] * 20)

    outcome = await real.run("Go on and on.", budget=Budget(tokens=4000))

    assert isinstance(outcome.failed, BudgetSpent)
    assert len(model.turns) < 10


@pytest.mark.parametrize("agent", ["codex"])
async def test_codex_cannot_write_in_read_only_mode(real: RealRunner, model: ModelServer) -> None:
    model.play(Shell("echo x > file0.txt; cat file0.txt"), Say("I looked."))

    outcome = await real.run("Look.", options=AgentOptions(mode="read-only"))

    assert outcome.done.files_changed == []
    assert "Read-only file system" in commands_run(outcome)


@pytest.mark.parametrize(
    ("agent", "mode", "changed"),
    [
        ("claude", "default", ["x"]),
        ("claude", "acceptEdits", ["x"]),
        ("claude", "bypassPermissions", ["x"]),
        ("claude", "plan", []),
        ("gemini", "default", ["x"]),
        ("gemini", "acceptEdits", ["x"]),
        ("gemini", "bypassPermissions", ["x"]),
        ("gemini", "plan", []),
        ("opencode", "default", ["x"]),
        ("opencode", "plan", []),
    ],
    indirect=["agent"],
)
async def test_agent_follows_its_permission_mode(
    real: RealRunner, model: ModelServer, mode: str, changed: list[str]
) -> None:
    model.play(Write("x", "x\n"), Say("Done."))

    outcome = await real.run("Make x.", options=AgentOptions(mode=mode))

    assert outcome.done.files_changed == changed
    assert "does not offer" not in json.dumps(outcome.entries)


async def test_cancelled_agent_leaves_its_turn(real: RealRunner, model: ModelServer) -> None:
    seconds = f"300.{new_hex_id()[:8].translate(str.maketrans('abcdef', '123456'))}"
    model.play(Shell(f"touch begun; sleep {seconds}"), Say("That took long."))
    letters = Letters()

    run = asyncio.create_task(real.run("Wait.", commands=letters))
    await eventually(lambda: bool(processes_with(f"sleep\0{seconds}")))
    letters.put(CommandMethod.CANCEL)
    outcome = await run

    assert isinstance(outcome.failed, AgentCancelled)
    assert outcome.failed.partial is not None
    assert outcome.failed.partial.files_changed == ["begun"]
    assert processes_with(f"sleep\0{seconds}") == []


async def test_unreachable_host_of_the_model_is_reported(real: RealRunner) -> None:
    port = free_port()

    outcome = await real.run(
        "Work.",
        environment=real.with_models_at(f"http://127.0.0.1:{port}"),
        timeout=timedelta(seconds=patient(SHORT_SECONDS)),
    )

    assert outcome.failed.message
    log = json.dumps(outcome.entries)
    assert f"127.0.0.1:{port} cannot be reached." in log
    assert "were refused" not in log


@pytest.mark.parametrize("agent", ["claude"])
async def test_missing_key_is_reported_by_its_name(real: RealRunner) -> None:
    outcome = await real.run("Work.", environment={"PATH": os.environ["PATH"]})

    assert outcome.failed.message.endswith(
        "gives it none of ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN, CLAUDE_CODE_OAUTH_TOKEN."
    )


@pytest.mark.parametrize("agent", ["opencode"])
async def test_opencode_works_with_an_operators_own_server_of_chat_completions(
    real: RealRunner, model: ModelServer, tmp_path: Path
) -> None:
    catalog = tmp_path / "agents.toml"
    catalog.write_text(OWN_SERVER)
    model.play(Write("new.txt", "hello\n"), Say("Written."))

    outcome = await real.run(
        "Write.", adapter=load_catalog(catalog).find("opencode"), options=AgentOptions(model="own/llama")
    )

    assert outcome.done.files_changed == ["new.txt"]
    assert [(asked.path, asked.model) for asked in model.asked] == [("/v1/chat/completions", "llama")] * 2


async def test_model_and_effort_reach_the_model(real: RealRunner, model: ModelServer, agent: str) -> None:
    model.play(Say("Hello."))

    outcome = await real.run("Say hello.", options=AgentOptions(effort="low"))

    assert outcome.done.summary == "Hello."
    first = model.turns[0]
    assert first.model == MODELS[agent].rpartition("/")[2]
    is_refused = "does not offer thought_level 'low'" in json.dumps(outcome.entries)
    assert is_refused == (agent == "gemini")
    if not is_refused:
        assert first.body["output_config" if agent == "claude" else "reasoning"]["effort"] == "low"


async def test_refusal_of_the_model_fails_the_run_in_its_words(real: RealRunner, model: ModelServer) -> None:
    model.play(*[Refuse(400, "Your credit is used up.")] * 20)

    outcome = await real.run("Work.")

    assert isinstance(outcome.failed, AgentFailed)
    assert "Your credit is used up." in outcome.failed.message


@pytest.mark.parametrize("agent", USUAL_AGENTS)
async def test_agent_takes_up_the_conversation_of_an_earlier_run(
    real: RealRunner, model: ModelServer, tmp_path: Path
) -> None:
    file = tmp_path / "session.json.gz"
    model.play(Shell("echo more >> file0.txt"), Say("I remember blueberry-17."), Say("Still blueberry-17."))

    first = await real.run("Remember blueberry-17.", session_file=file)
    assert first.done.summary == "I remember blueberry-17."
    packed = await asyncio.to_thread(file.read_bytes)
    assert [key for key in (b"sk-ant-test", b"sk-test") if key in gzip.decompress(packed)] == []
    second = await real.run("Remember blueberry-17.", session=unpack(packed), follow_up="Which word was it?")

    assert second.done.summary == "Still blueberry-17.", second.entries
    heard = model.turns[-1].text
    for words in ("I remember blueberry-17.", "more >> file0.txt", "Which word was it?"):
        assert words in heard
    assert "I remember" not in json.dumps(second.updates("agent_message"))
    assert "goes on with its conversation" in json.dumps(second.entries)


ASK: dict[str, Any] = {
    "questions": [
        {
            "question": "Which library?",
            "header": "Library",
            "multiSelect": False,
            "options": [
                {"label": "luxon", "description": "Larger"},
                {"label": "date-fns", "description": "Smaller"},
            ],
        },
        {
            "question": "Which targets?",
            "header": "Targets",
            "multiSelect": True,
            "options": [{"label": "web", "description": "W"}, {"label": "ios", "description": "I"}],
        },
    ]
}
FOLLOWED = TurnPolicy(interactive=True)


async def until_asked(letters: Letters, number: int = 1) -> ShownQuestion:
    """Return the latest question of a person, once there are so many."""
    await eventually(lambda: len(letters.asked) >= number)
    return letters.asked[-1]


@pytest.mark.parametrize("agent", ["claude"])
@pytest.mark.parametrize("end", ["answered", "declined", "cancelled"])
async def test_questions_of_claude_reach_people_and_their_answers_its_model(
    real: RealRunner, model: ModelServer, end: str
) -> None:
    model.play(Use("AskUserQuestion", ASK), Say("Thank you."))
    letters = Letters()
    run = asyncio.create_task(real.run("Ask me.", commands=letters, turns=FOLLOWED))
    asked = await until_asked(letters)
    match end:
        case "answered":
            answers = {"Which library?": "luxon, for now", "Which targets?": "web, ios, tv"}
            letters.put(
                CommandMethod.PERMISSION_RESPONSE,
                request_id=asked.request_id,
                option_id="_submit",
                answers=answers,
            )
        case "declined":
            letters.put(CommandMethod.PERMISSION_RESPONSE, request_id=asked.request_id, option_id="reject")
        case _:
            letters.put(CommandMethod.CANCEL)
    await until_asked(letters, 2)
    letters.put(CommandMethod.CLOSE)
    outcome = await run

    assert asked.kind is QuestionKind.FORM
    assert [each["question"] for each in asked.tool_call["_meta"]["questions"]] == [
        "Which library?",
        "Which targets?",
    ]
    heard = model.turns[-1].text
    match end:
        case "answered":
            assert outcome.done.summary == "Thank you."
            assert all(answer in heard for answer in ("luxon", "for now", "web, ios, tv"))
        case "declined":
            assert outcome.done.summary == "Thank you."
            assert "luxon, for now" not in heard
        case _:
            assert isinstance(outcome.failed, AgentCancelled)


@pytest.mark.parametrize("agent", ["claude"])
async def test_claude_has_no_questions_where_no_person_follows(real: RealRunner, model: ModelServer) -> None:
    model.play(Say("Done."))
    await real.run("Work.")
    assert "AskUserQuestion" not in model.turns[0].tools


@pytest.mark.parametrize("agent", USUAL_AGENTS)
async def test_message_reaches_an_agent_at_work(real: RealRunner, model: ModelServer) -> None:
    mark = new_hex_id()
    model.play(Shell(f"while ! test -e {mark}; do sleep 0.1; done"), *[Say("I heard.")] * 5)
    letters = Letters()
    trusting = AgentOptions(mode="bypassPermissions")
    run = asyncio.create_task(real.run("Wait.", commands=letters, turns=FOLLOWED, options=trusting))
    await eventually(lambda: bool(processes_with(mark)))
    letters.put(CommandMethod.USER_MESSAGE, content="The word is blueberry-17.", artifact_ids=[])
    # Its command never ends by itself: the message does not wait for the end of the turn.
    await eventually(lambda: (CommandMethod.USER_MESSAGE, CommandStatus.DELIVERED, None) in letters.settled)
    await eventually(lambda: "blueberry-17" in model.turns[-1].text)
    letters.put(CommandMethod.CANCEL)
    await until_asked(letters)
    letters.put(CommandMethod.CLOSE)
    outcome = await run

    [chunk] = outcome.updates("user_message_chunk")
    assert chunk["content"]["text"] == "The word is blueberry-17."
    mine = [status for method, status, _ in letters.settled if method is CommandMethod.USER_MESSAGE]
    assert mine == [CommandStatus.DELIVERED, CommandStatus.CONSUMED]
    assert processes_with(mark) == []


@pytest.mark.parametrize("agent", ["codex"])
async def test_questions_of_codex_reach_people_and_their_answers_its_model(
    real: RealRunner, model: ModelServer
) -> None:
    question = {**ASK["questions"][0], "id": "library"}
    del question["multiSelect"]
    model.play(Use("request_user_input", {"questions": [question]}), Say("Thank you."))
    letters = Letters()
    run = asyncio.create_task(real.run("Ask me.", commands=letters, turns=FOLLOWED))
    asked = await until_asked(letters)
    letters.put(
        CommandMethod.PERMISSION_RESPONSE,
        request_id=asked.request_id,
        option_id="_submit",
        answers={"Which library?": "luxon, for now"},
    )
    await until_asked(letters, 2)
    letters.put(CommandMethod.CLOSE)
    outcome = await run

    assert (asked.kind, asked.title) == (QuestionKind.FORM, "Which library?")
    assert outcome.done.summary == "Thank you."
    output = json.loads(model.turns[-1].body["input"][-1]["output"])
    assert output == {"answers": {"library": {"answers": ["luxon", "user_note: for now"]}}}


@pytest.mark.parametrize("agent", ["claude"])
async def test_claude_lists_and_calls_the_tool_of_the_service(real: RealRunner, model: ModelServer) -> None:
    model.play(
        Use("mcp__taskbeacon__notify_user", {"title": "Half way", "message": "Tests pass."}), Say("Done.")
    )
    person = Person()
    outcome = await real.run("Work.", may_notify=True, notify_user=person.notify)
    assert outcome.done.summary == "Done."
    assert person.heard == [AgentMessage(title="Half way", message="Tests pass.", urgency=Urgency.LOW)]
    assert '"decision":"sent","devices":2' in model.turns[-1].text.replace("\\", "")


@pytest.mark.parametrize("agent", ["codex"])
async def test_codex_lists_the_tools_of_the_service(real: RealRunner, model: ModelServer) -> None:
    """Codex' model searches for the tools of servers."""
    model.play(Say("Done."))
    await real.run("Work.", may_notify=True, notify_user=Person().notify)
    [search] = [tool for tool in model.turns[0].body["tools"] if tool["type"] == "tool_search"]
    assert "\n- taskbeacon\n" in search["description"]


@pytest.mark.parametrize("agent", ["claude"])
async def test_claude_asks_no_permission_for_the_tool_of_the_service(
    real: RealRunner, model: ModelServer
) -> None:
    """A question to the person about whether they may be notified would be a notice itself."""
    model.play(Use("mcp__taskbeacon__notify_user", {"title": "t", "message": "m"}), Say("Done."))
    person, letters = Person(), Letters()
    run = asyncio.create_task(
        real.run("Work.", may_notify=True, notify_user=person.notify, commands=letters, turns=FOLLOWED)
    )
    asked = await until_asked(letters)
    letters.put(CommandMethod.CLOSE)
    await run
    assert asked.kind is QuestionKind.MESSAGE
    assert len(person.heard) == 1
