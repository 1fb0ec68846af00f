"""The receivers of docs/guide/webhooks.md, as a reader would run them: they verify a worker's messages only.

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
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory
from app.models import Project, User
from app.runtime import ProcessContext
from tests.generated.tools import ClientTools
from tests.support.deployment.processes import free_port
from tests.support.factories import make_task
from tests.support.waiting import eventually
from tests.support.webhooks import delivering, make_endpoint, record_event

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
