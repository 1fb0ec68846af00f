"""Claude and Codex as they are, against a scripted model: run by `make test-agents`, once `make agents` was run."""

import asyncio
import gzip
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.agents.budget import Budget
from app.agents.catalog import load_catalog
from app.agents.errors import AgentFailed, BudgetSpent
from app.agents.kept_session import unpack
from app.agents.network import NetworkRules
from app.agents.sandbox import Sandbox
from app.agents.usage import UsageMeter
from app.enums import AgentNetwork
from tests.agents.conftest import PUSH_BRANCH, GitFolder, Outcome, Runner
from tests.support.model_server import ModelServer, Refuse, Say, Shell, model_server

pytestmark = pytest.mark.real_agents

AGENTS = Path(__file__).parents[2] / ".taskbeacon" / "agents"
MODELS = {"claude": "claude-sonnet-4-6", "codex": "gpt-5.5"}
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
            "agents": AGENTS,
            "model": MODELS[name],
            "sandbox": sandbox,
            "network": NetworkRules(level=AgentNetwork.MODEL_ONLY),
            "environment": os.environ
            | {
                "ANTHROPIC_BASE_URL": model.url,
                "ANTHROPIC_API_KEY": "sk-ant-test",
                "OPENAI_BASE_URL": f"{model.url}/v1",
                "OPENAI_API_KEY": "sk-test",
                "DATABASE_URL": "postgresql://x:sauerkraut-41@db",
            },
        }

    async def run(self, prompt: str, **changes: Any) -> Outcome:
        return await self._runner.run(prompt, **self._fields | changes)


@pytest.fixture(params=["claude", "codex"])
def agent(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def real(runner: Runner, model: ModelServer, sandbox: Sandbox, agent: str) -> RealRunner:
    return RealRunner(runner, model, sandbox, agent)


def commands_run(outcome: Outcome) -> str:
    return json.dumps([*outcome.updates("tool_call"), *outcome.updates("tool_call_update")])


async def test_agent_works_in_the_sandbox_and_its_work_is_pushed(
    real: RealRunner, model: ModelServer, origin: GitFolder, agent: str
) -> None:
    model.play(
        Shell("echo more >> file0.txt; id -u; ls ..", before="I change the file."),
        Shell("env"),
        Say("The file has one more line."),
    )

    outcome = await real.run("Add a line to file0.txt.")

    done = outcome.done
    assert done.files_changed == ["file0.txt"]
    assert origin.git("show", f"{PUSH_BRANCH}:file0.txt") == "content 0\nmore"
    assert done.summary == "The file has one more line."
    assert (
        next(update["content"]["text"] for update in outcome.updates("agent_message")) == "I change the file."
    )
    first, *_ = model.turns
    assert "Add a line to file0.txt." in first.text
    assert first.body["model"] == MODELS[agent]
    assert all("sauerkraut-41" not in asked.text for asked in model.asked), "a variable of the worker got in"
    assert "more >> file0.txt" in commands_run(outcome)


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


async def test_what_the_agent_uses_is_counted(real: RealRunner, model: ModelServer) -> None:
    model.play(Shell("true"), Say("Done."))
    meter = UsageMeter()

    await real.run("Do it.", meter=meter)

    report = meter.report()
    assert report is not None
    assert (report["total_tokens"], report["input_tokens"], report["output_tokens"]) == (2200, 2000, 200)
    assert report["context_tokens"] == 1100


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

    outcome = await real.run("Look.", permission_mode="read-only")

    assert outcome.done.files_changed == []
    assert "Read-only file system" in commands_run(outcome)


@pytest.mark.parametrize("agent", ["claude"])
@pytest.mark.parametrize(
    ("mode", "changed"),
    [("default", ["x"]), ("acceptEdits", ["x"]), ("bypassPermissions", ["x"]), ("plan", [])],
)
async def test_claude_follows_its_permission_mode(
    real: RealRunner, model: ModelServer, mode: str, changed: list[str]
) -> None:
    model.play(Shell("touch x"), Say("Done."))

    outcome = await real.run("Make x.", permission_mode=mode)

    assert outcome.done.files_changed == changed


async def test_model_and_effort_reach_the_model(real: RealRunner, model: ModelServer, agent: str) -> None:
    model.play(Say("Hello."))

    outcome = await real.run("Say hello.", reasoning_effort="low")

    assert outcome.done.summary == "Hello."
    body = model.turns[0].body
    effort = body["output_config"]["effort"] if agent == "claude" else body["reasoning"]["effort"]
    assert (body["model"], effort) == (MODELS[agent], "low")
    assert "does not offer" not in json.dumps(outcome.entries)


async def test_refusal_of_the_model_fails_the_run_in_its_words(real: RealRunner, model: ModelServer) -> None:
    model.play(*[Refuse(400, "Your credit is used up.")] * 20)

    outcome = await real.run("Work.")

    assert isinstance(outcome.failed, AgentFailed)
    assert "Your credit is used up." in outcome.failed.message


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
