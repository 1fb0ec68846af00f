"""Attempts to get out of the sandbox, made by real runs: all fail, and the run's log holds what was tried.

The program is that of tests/sandbox/test_attempts.py. As an ordinary user they are made by
tests/agents/test_ordinary_user.py.
"""

import json
import os
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from app.agents.errors import SandboxUnavailable
from app.agents.inspection.sandbox_probe import ATTEMPTS
from app.agents.network.network_access import NetworkRules
from app.enums import AgentNetwork, SandboxKind
from tests.agents.conftest import Outcome, Runner, eventually, find_sandbox
from tests.sandbox.targets import PROGRAM, all_stand_ins
from tests.support.marked import processes_with

pytestmark = pytest.mark.walls

SECRET = "s3cret-of-the-service"


@pytest.fixture
async def walled(runner: Runner) -> Runner:
    try:
        sandbox = await find_sandbox(SandboxKind.BUBBLEWRAP)
    except SandboxUnavailable as error:
        pytest.skip(error.message)
    runner.context = replace(runner.context, sandbox=sandbox)
    return runner


@pytest.fixture
def foreign(walled: Runner) -> Path:
    """A file with a secret in the workspace of another run."""
    other = walled.context.files.workspaces.root.parent / "elsewhere" / "other" / "work"
    other.mkdir(parents=True)
    (other / "file").write_text(SECRET)
    return other / "file"


def output_of(outcome: Outcome) -> str:
    """Return the output of the steps of a run, from its log."""
    blocks = [
        block for update in outcome.updates("tool_call_update") for block in update.get("content") or ()
    ]
    return "".join(block.get("content", {}).get("text", "") for block in blocks)


@pytest.mark.parametrize("level", [AgentNetwork.NONE, AgentNetwork.TRUSTED])
async def test_escapes_are_refused_and_stand_in_the_log(
    walled: Runner, foreign: Path, level: AgentNetwork
) -> None:
    async with all_stand_ins() as (root, targets):
        targets["file"] = str(foreign)
        # Not by files of the workspace: this very text is what the log shows of the steps too.
        program = "".join(
            f"```file path=escapes/{name}\n{source.read_text()}\n```\n" for name, source in PROGRAM.items()
        )
        outcome = await walled.run(
            f"{program}```sh\npython3 escapes {shlex.quote(json.dumps(targets))}\n```",
            hidden=[root / "shown" / "hidden"],
            network=NetworkRules(level=level, domains=["example.com"]),
        )
    assert outcome.done
    printed = output_of(outcome)
    made, _ = json.JSONDecoder().raw_decode(printed, printed.index('{"'))
    assert len(made) >= len(ATTEMPTS) - 3
    assert [name for name, obstacle in made.items() if obstacle is None] == []


async def test_tricks_on_the_proxy_are_refused_and_reported(walled: Runner) -> None:
    port = 8  # of nothing
    targets = [
        f"127.0.0.1:{port}",
        f"2130706433:{port}",
        f"0x7f000001:{port}",
        f"[::ffff:127.0.0.1]:{port}",
        f"localhost:{port}",
        f"example.com:{port}",
        "169.254.169.254:80",
    ]
    program = (
        "import socket\n"
        f"for target in {targets!r}:\n"
        "    for family, address in (\n"
        "        (socket.AF_UNIX, '/run/taskbeacon-egress'), (socket.AF_INET, ('127.0.0.1', 3128))\n"
        "    ):\n"
        "        with socket.socket(family) as client:\n"
        "            client.settimeout(20)\n"
        "            client.connect(address)\n"
        "            client.sendall(f'CONNECT {target} HTTP/1.1\\r\\n\\r\\n'.encode())\n"
        "            print(target, client.makefile('rb').readline().decode().strip())\n"
    )
    outcome = await walled.run(
        f"```python\n{program}\n```",
        network=NetworkRules(level=AgentNetwork.TRUSTED, domains=["example.com"]),
    )
    assert outcome.done
    printed = output_of(outcome)
    for target in targets:
        assert printed.count(f"{target} HTTP/1.1 403 Forbidden") >= 2, printed
    messages = [
        entry["notification"]["params"]["message"]
        for entry in outcome.entries
        if entry["notification"]["params"].get("step") == "network"
    ]
    assert sum("was refused" in message for message in messages) == len(targets)


async def test_links_out_of_the_workspace_lead_nowhere(walled: Runner, foreign: Path, tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    outbox.mkdir()
    artifacts = ".taskbeacon/artifacts"
    outcome = await walled.run(
        f"```sh\nln -s {foreign} {artifacts}/a.txt; ln -s {foreign.parent} {artifacts}/folder\n"
        f"ln -s /proc/self/environ {artifacts}/environ; ln -s {foreign} .taskbeacon/output.json\n"
        f"ln -s {foreign} tracked; echo fine > {artifacts}/fine.txt\n```",
        outbox=outbox,
    )
    kept = {path.name: path.read_text() for path in outbox.rglob("*") if path.is_file()}
    assert "fine\n" in kept.values()
    assert SECRET not in "".join(kept.values())
    result = outcome.result or outcome.failed.partial
    assert result is not None
    assert SECRET.encode() not in result.patch
    assert SECRET not in json.dumps(outcome.entries)


async def test_what_is_left_behind_ends_with_the_run(walled: Runner, tmp_path: Path) -> None:
    """Grandchildren in sessions of their own, some stopped, some zombies of a parent that never waits."""
    marker = f"left-{os.getpid()}-{tmp_path.name}"
    outcome = await walled.run(
        "```python\nimport os, signal, subprocess\n"
        "for number in range(6):\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork() == 0:\n"
        "            for stream in range(3):\n"
        "                os.close(stream)\n"
        "            signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "            if number % 2:\n"
        "                subprocess.Popen(['true'])\n"
        f"            os.execvp('python3', ['python3', '-c', 'import signal; signal.pause()', '{marker}'])\n"
        "        os._exit(0)\n```"
    )
    assert outcome.done
    await eventually(lambda: processes_with(marker) == [])


async def test_endless_output_is_cut(walled: Runner) -> None:
    outcome = await walled.run("```sh\nhead -c 20000000 /dev/zero | tr '\\0' 'x'\necho; echo the end\n```")

    assert outcome.done
    assert len(json.dumps(outcome.entries)) < 4 * 2**20
