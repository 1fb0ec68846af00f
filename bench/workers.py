"""A real worker as a process, and the API in this process, through which runs are started."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import httpx

from app.config import Settings
from app.db import unit_of_work
from app.main import create_app
from app.runtime import ProcessContext
from app.services.accounts import accounts, api_keys
from bench.servers import environment_of

_STOP_SECONDS: Final = 10.0
_WAIT_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Account:
    """The user who starts the measured runs: a project, and headers with an API key."""

    project_id: int
    headers: dict[str, str]


@contextmanager
def running(*arguments: str, settings: Settings, log: Path, **environment: str) -> Iterator[int]:
    """Run `python ARGUMENTS` with these settings in its environment; yield its process id; end it afterwards."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own modules
            [sys.executable, *arguments],
            env={**os.environ, **environment_of(settings), **environment},
            stdout=output,
            stderr=output,
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # What it still does was measured already.
            process.kill()
            process.wait()


@asynccontextmanager
async def working(settings: Settings, log: Path, **environment: str) -> AsyncGenerator[int, None]:
    """Run a worker with its own home folder beside its log; yield its process id once it claims runs."""
    variables = {"TASKBEACON_HOME": str(log.with_suffix(".home"))} | environment
    with running("-m", "app.cli", "worker", settings=settings, log=log, **variables) as pid:
        await until(lambda: _is_logged(log, "worker.started"))
        yield pid


def first_events(log: Path) -> dict[tuple[str, str], float]:
    """Return the time of the first log entry for each run and event in a worker's log, in Unix seconds.

    An entry that says how many seconds ago its event happened counts from then.
    """
    found: dict[tuple[str, str], float] = {}
    for line in log.read_text().splitlines():
        if line.startswith("{"):
            entry = json.loads(line)
            when = datetime.fromisoformat(entry["timestamp"]).timestamp() - entry.get("seconds_ago", 0)
            found.setdefault((entry.get("run_id", ""), entry["event"]), when)
    return found


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until `holds` returns true. Raises TimeoutError after two minutes."""
    async with asyncio.timeout(_WAIT_SECONDS):
        while not await holds():  # noqa: ASYNC110 - rows and logs of other processes give no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def asked_here(process: ProcessContext) -> AsyncGenerator[tuple[httpx.AsyncClient, Account], None]:
    """Yield an HTTP client for the API, which runs in this process, and the account that it acts for."""
    async with unit_of_work(process.sessions) as session:
        organization = await accounts.create_organization(session, "Bench")
        project = await accounts.create_project(session, "Bench", organization_id=organization.id)
        user = await accounts.create_user(session, "runs@example.com", project_ids=[project.id])
        key = await api_keys.create_api_key(session, user_id=user.id, scopes=["*"])
    account = Account(project.id, {"Authorization": f"Bearer {key.value}"})
    transport = httpx.ASGITransport(create_app(process.settings, process=process))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://bench", headers=account.headers
    ) as client:
        yield client, account


async def _is_logged(log: Path, event: str) -> bool:
    return event in log.read_text()  # noqa: ASYNC240 - a small local file
