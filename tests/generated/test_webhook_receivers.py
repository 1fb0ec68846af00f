"""The receivers of docs/guide/webhooks.md, as a reader would run them: they verify a worker's messages, and forwards.

The one in JavaScript needs `make client-tools`, which brings Node and the official library from npm.
"""

import asyncio
import os
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory
from app.models import Project, User
from app.runtime import ProcessContext
from taskbeacon.cli import perform
from tests.client.terminal import Print, printing
from tests.generated.tools import ClientTools
from tests.support.deployment.processes import free_port
from tests.support.factories import make_task
from tests.support.waiting import eventually
from tests.support.web.serving import serving
from tests.support.webhooks import delivering, make_endpoint, record_event

__all__ = ["printing"]

_GUIDE = Path(__file__).parents[2] / "docs/guide/webhooks.md"


def program(language: str) -> str:
    text: str
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", _GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    return text


@pytest.fixture(params=["python", "js"])
def command(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """The command of a receiver, which takes SECRET and PORT from its environment."""
    if request.param == "python":
        file = tmp_path / "receiver.py"
        file.write_text(program("python"))
        return [sys.executable, str(file)]
    tools = ClientTools.default()
    if not tools.is_current and not os.environ.get("CI"):
        pytest.skip("Node and the library are not installed (make client-tools)")
    assert tools.is_current, "no Node and no library: run `make client-tools`"
    # Beside the packages that it imports.
    (tmp_path / "node_modules").symlink_to(tools.node_modules)
    file = tmp_path / "receiver.mjs"
    file.write_text(program("js"))
    return [tools.node, "--preserve-symlinks-main", str(file)]


@asynccontextmanager
async def running(command: list[str], secret: str, port: int) -> AsyncGenerator[asyncio.StreamReader, None]:
    """Run a receiver and yield what it prints."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | {"SECRET": secret, "PORT": str(port)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def is_listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


@pytest.mark.parametrize("is_right", [True, False], ids=["its secret", "another secret"])
async def test_receiver_takes_what_is_signed_with_its_secret_alone(
    command: list[str],
    session: AsyncSession,
    sessions: SessionFactory,
    process: ProcessContext,
    project: Project,
    owner: User,
    *,
    is_right: bool,
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    endpoint, secret = await make_endpoint(session, project=project, created_by=owner, url=url)
    _, other = await make_endpoint(session, project=project, created_by=owner, url=url, enabled=False)
    task = await make_task(session, project=project, created_by=owner)
    async with (
        delivering(process) as deliveries,
        running(command, secret if is_right else other, port) as output,
    ):
        await eventually(lambda: is_listening(port))
        await record_event(sessions, task, data={"changed": ["title"]})
        await deliveries.deliver()
        if is_right:
            line = (await output.readline()).decode()
            assert "task.updated" in line
            assert str(task.id) in line

    (row,) = await deliveries.rows(endpoint_id=endpoint.id)
    assert row.status == ("delivered" if is_right else "pending")


async def test_receiver_takes_what_the_command_forwards(
    command: list[str],
    application: FastAPI,
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    printing: Print,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Signed by the command, and verified by the official library in both languages."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert perform(["events", "listen", "--print-secret"]) == 0
    secret, port = capsys.readouterr().out.strip(), free_port()
    task = await make_task(session, project=project, created_by=owner)
    await session.commit()
    async with serving(application) as url, running(command, secret, port) as output:
        await eventually(lambda: is_listening(port))
        forward = f"http://127.0.0.1:{port}/"
        listening = await printing(url, "events", "listen", "--json", "--forward", forward)
        await eventually(lambda: listening.lines)
        await record_event(sessions, task, data={"changed": ["title"]})
        assert str(task.id) in (await output.readline()).decode()
        await eventually(lambda: len(listening.lines) > 1)
        assert listening.lines[1]["forwarded"] == {"status": 204}
        await listening.kill()
