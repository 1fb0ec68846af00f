"""Secrets of the service stand in no environment and no argument of its processes, nor of what these start."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from app.config import Settings
from tests.devstack.launchers import snapshot
from tests.e2e.conftest import Service
from tests.e2e.test_processes import passwords, start_run
from tests.support.callers import bearer
from tests.support.deployment.processes import ServiceProcess, address_of, service_process, wait_until_ready
from tests.support.waiting import eventually
from tests.support.web.clients import socket_client

pytestmark = pytest.mark.walls

MODEL_KEY = "sk-of-the-operator"


def shown(pid: int) -> bytes:
    """Return the environment and the arguments that a process shows to others."""
    folder = Path("/proc") / str(pid)
    try:
        return (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
    except (PermissionError, FileNotFoundError, ProcessLookupError):  # not ours, or it has ended by now
        return b""


@contextmanager
def ended(process: ServiceProcess) -> Iterator[None]:
    """Kill a process with what it started: the processes of `--workers` outlive one that is killed alone."""
    try:
        yield
    finally:
        for member in snapshot([process.pid]):
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)


def secrets_shown(pid: int, secrets: list[str]) -> list[tuple[int, str]]:
    return [
        (member, secret)
        for member in snapshot([pid])
        for secret in secrets
        if secret.encode() in shown(member)
    ]


@pytest.fixture
def secrets(settings: Settings) -> list[str]:
    return [MODEL_KEY, "a-secret-key-of-thirty-two-letters-or-more", *passwords(settings)]


async def test_environment_of_api_and_worker_shows_no_secret(
    service: Service, settings: Settings, tmp_path: Path, key: str, secrets: list[str]
) -> None:
    given = {"ANTHROPIC_API_KEY": MODEL_KEY, "TASKBEACON_SECRET_KEYS": secrets[1]}
    control = await asyncio.create_subprocess_exec("sleep", "86400", env=os.environ | given)
    try:
        # Of a program that does not hide it they are seen: a moment after its start.
        await eventually(lambda: secrets_shown(control.pid, secrets))
    finally:
        control.kill()
        await control.wait()
    with (
        service_process(
            "serve --port 0 --workers 2", settings=settings, log=tmp_path / "api.log", **given
        ) as api,
        service_process(
            "worker",
            settings=settings,
            log=tmp_path / "worker.log",
            TASKBEACON_HOME=str(tmp_path / "home"),
            TASKBEACON_GIT_BASE_URL=service.repositories.base_url,
            TASKBEACON_WORKER_DRAIN_SECONDS="0",
            **given,
        ) as worker,
        ended(api),
    ):
        address = await address_of(api)
        async with socket_client(base_url=address) as client:
            await wait_until_ready(client, api)
        async with socket_client(
            base_url=f"{address}/api/projects/@current/tasks", headers=bearer(key), timeout=60
        ) as client:
            mark = f"held-{tmp_path.name}"
            await start_run(client, f"```bash\n(exec -a {mark} tail -f /dev/null) & wait\n```")

            await eventually(
                lambda: any(mark.encode() in shown(pid) for pid in snapshot([worker.pid])), within_seconds=60
            )

            # A process shows what it was given in its first moment, also one of the API's that was started again.
            await eventually(
                lambda: not secrets_shown(api.pid, secrets) and not secrets_shown(worker.pid, secrets),
                within_seconds=60,
            )
            # The API's two processes, and a chain of programs before the agent.
            assert (len(snapshot([api.pid])) > 2, len(snapshot([worker.pid])) > 3) == (True, True)
            with suppress(
                PermissionError
            ):  # an ordinary user may not look into a process that has hidden itself
                maps = Path(f"/proc/{worker.pid}/maps").read_text()  # noqa: ASYNC240 - no disk
                assert "uvloop" not in maps, "the worker runs on a loop that forks"
