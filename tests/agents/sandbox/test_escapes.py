"""Attempts to get out of the sandbox, made by real runs: all fail, and the run's log holds what was tried.

What the attempts are is in escapes.py. As an ordinary user they are made by tests/agents/test_ordinary_user.py.
"""

import asyncio
import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from app.agents.errors import SandboxUnavailable
from app.agents.network.network import NetworkRules
from app.enums import AgentNetwork, SandboxKind
from tests.agents.conftest import Outcome, Runner, eventually, find_sandbox
from tests.agents.sandbox import escapes
from tests.support.marked import processes_with

pytestmark = pytest.mark.walls

SECRET = "s3cret-of-the-service"
PROGRAM = Path(escapes.__file__).read_text()


async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    await writer.drain()
    writer.close()


@pytest.fixture
async def walled(runner: Runner) -> Runner:
    try:
        sandbox = await find_sandbox(SandboxKind.BUBBLEWRAP)
    except SandboxUnavailable as error:
        pytest.skip(error.message)
    runner.context = replace(runner.context, sandbox=sandbox)
    return runner


@pytest.fixture
async def world(tmp_path: Path, walled: Runner) -> AsyncIterator[dict[str, str]]:
    """Targets outside the sandbox: a service with a secret, its servers, and the files of another run."""
    other = walled.context.files.root.parent / "elsewhere" / "other" / "work"
    hidden = tmp_path / "hidden"
    for folder in (other, hidden):
        folder.mkdir(parents=True)
    (other / "file").write_text(SECRET)
    (hidden / "dev.json").write_text(SECRET)
    short = Path(tempfile.mkdtemp(prefix="tb-"))  # the path of a socket is short
    service = await asyncio.create_subprocess_exec("sleep", "600", env={**os.environ, "KEY": SECRET})
    abstract = f"taskbeacon-{service.pid}"
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, short)
        port_server = await stack.enter_async_context(await asyncio.start_server(greet, "0.0.0.0", 0))  # noqa: S104 - on all addresses
        await stack.enter_async_context(await asyncio.start_unix_server(greet, "\0" + abstract))
        await stack.enter_async_context(await asyncio.start_unix_server(greet, str(short / "s")))
        yield {
            "secret": SECRET,
            "pid": str(service.pid),
            "port": str(port_server.sockets[0].getsockname()[1]),
            "abstract": abstract,
            "socket": str(short / "s"),
            "file": str(other / "file"),
            "hidden": str(hidden),
        }
        service.kill()
        await service.wait()


def results(text: str) -> dict[str, str]:
    """Return the result of each attempt."""
    lines = [line for line in text.splitlines() if ": " in line]
    return {name: result for name, _, result in (line.rpartition(": ") for line in lines)}


def output_of(outcome: Outcome) -> str:
    """Return the output of the steps of a run, from its log."""
    blocks = [
        block for update in outcome.updates("tool_call_update") for block in update.get("content") or ()
    ]
    return "".join(block.get("content", {}).get("text", "") for block in blocks)


async def test_attempts_are_sound_where_nothing_is_in_the_way(world: dict[str, str], tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, escapes.__file__, json.dumps(world), "sound"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()

    assert results(printed.decode()) == dict.fromkeys(escapes.SOUND_OUTSIDE, "ESCAPED")


@pytest.mark.parametrize("level", [AgentNetwork.NONE, AgentNetwork.TRUSTED])
async def test_escapes_are_refused_and_stand_in_the_log(
    walled: Runner, world: dict[str, str], level: AgentNetwork
) -> None:
    # Not by a file of the workspace: this very text is what the log shows of the step too.
    command = f"python3 escapes.py {shlex.quote(json.dumps(world))}"
    outcome = await walled.run(
        f"```file path=escapes.py\n{PROGRAM}\n```\n```sh\n{command}\n```",
        hidden=[Path(world["hidden"])],
        network=NetworkRules(level=level, domains=["example.com"]),
    )
    assert outcome.done
    made = results(output_of(outcome))
    assert set(made) >= set(escapes.ATTEMPTS)
    assert [name for name in escapes.ATTEMPTS if not made[name].startswith("refused")] == []


async def test_tricks_on_the_proxy_are_refused_and_reported(walled: Runner, world: dict[str, str]) -> None:
    port = world["port"]
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


async def test_links_out_of_the_workspace_lead_nowhere(
    walled: Runner, world: dict[str, str], tmp_path: Path
) -> None:
    outbox = tmp_path / "outbox"
    outbox.mkdir()
    artifacts = ".taskbeacon/artifacts"
    outcome = await walled.run(
        f"```sh\nln -s {world['file']} {artifacts}/a.txt; ln -s {Path(world['file']).parent} {artifacts}/folder\n"
        f"ln -s /proc/self/environ {artifacts}/environ; ln -s {world['file']} .taskbeacon/output.json\n"
        f"ln -s {world['file']} tracked; echo fine > {artifacts}/fine.txt\n```",
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
