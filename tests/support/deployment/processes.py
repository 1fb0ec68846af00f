"""The service's own processes, started as an operator starts them."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import httpx

from app.config import Settings
from tests.support.waiting import eventually

_STOP_SECONDS = 60
# A start takes a second, and many times that where all processors are busy.
_START_SECONDS = 180
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


class ServiceProcess:
    """A running `taskbeacon` command; its output goes to `log`."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path) -> None:
        self._popen = popen
        self.log = log

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    def ask_to_stop(self) -> None:
        self._popen.send_signal(signal.SIGTERM)

    async def stop(self) -> int:
        """Send SIGTERM to the process, wait for its end, and return its exit code.

        Servers of the test go on meanwhile: a worker that is stopped waits for the answers that are under way.
        """
        self.ask_to_stop()
        return await asyncio.to_thread(self._popen.wait, _STOP_SECONDS)

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait(_STOP_SECONDS)


@contextmanager
def service_process(
    command: str, *, settings: Settings, log: Path, program: str | Path = "app.cli", **environment: str
) -> Iterator[ServiceProcess]:
    """Run `taskbeacon <command>` on the servers of `settings`; leaving the block kills what is left of it.

    `program` is the module that stands for `taskbeacon`, with arguments of its own, or that of another release.
    """
    prefix = [str(program)] if isinstance(program, Path) else [sys.executable, "-m", *program.split()]
    variables = {
        "TASKBEACON_DATABASE_URL": settings.database_url,
        "TASKBEACON_REDIS_URL": settings.redis_url,
        "TASKBEACON_THROTTLE_PER_MINUTE": "0",
        "TASKBEACON_THROTTLE_PER_HOUR": "0",
    }
    with log.open("wb") as output:
        popen = subprocess.Popen(
            [*prefix, *command.split()],
            env=os.environ | variables | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    process = ServiceProcess(popen, log)
    try:
        yield process
    finally:
        if process.is_running:
            process.kill()


@cache
def closed_port() -> int:
    """Return a port on which no process listens while this one runs: this one has it, and does not listen."""
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    port: int = holder.getsockname()[1]
    # Open, and nobody's to close, until the process ends.
    holder.detach()
    return port


def free_port() -> int:
    """Return a port for a server that is about to start."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


async def address_of(process: ServiceProcess) -> str:
    """Return the address that an API which chose its own port writes to its log."""

    async def announced() -> bool:
        assert process.is_running, process.log.read_text()
        return _ADDRESS.search(process.log.read_text()) is not None

    await eventually(announced, within_seconds=_START_SECONDS)
    match = _ADDRESS.search(process.log.read_text())
    assert match is not None
    return match[0]


async def wait_until_ready(client: httpx.AsyncClient, process: ServiceProcess) -> None:
    """Wait until the API behind `client` is ready. Fails if the process ends."""

    async def ready() -> bool:
        assert process.is_running, process.log.read_text()
        try:
            return (await client.get("/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    await eventually(ready, within_seconds=_START_SECONDS)
