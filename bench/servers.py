"""The servers and the processes under measurement, in a folder that is removed afterwards."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.config import Settings
from app.db.schema_revision import upgrade_schema
from app.devstack.home import Home
from app.devstack.loopback import status_of
from app.devstack.processes import Supervisor
from app.devstack.servers.embedded_servers import EmbeddedServers

_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 10.0
_WANTED = ("postgres", "valkey", "seaweedfs")
_SETTINGS = {"development": True, "throttle_per_minute": 0, "throttle_per_hour": 0}


@contextmanager
def servers() -> Iterator[tuple[Settings, Path]]:
    """Start PostgreSQL with an up-to-date schema, Valkey and SeaweedFS; yield the settings for them and the folder."""
    folder = Path(tempfile.mkdtemp(prefix="taskbeacon-bench-"))
    home = Home(folder)
    home.create()
    lock = home.acquire()
    supervisor = Supervisor()
    supervisor.keep_open(lock)
    embedded = EmbeddedServers(home, wanted=_WANTED, durable=False, bucket="taskbeacon-bench")
    try:
        embedded.start(supervisor)
        embedded.await_ready(supervisor, _WANTED, lambda *_: None)
        addresses = {
            name.removeprefix("TASKBEACON_").lower(): value for name, value in embedded.environment.items()
        }
        settings = Settings.model_validate({**_SETTINGS, **addresses})
        upgrade_schema(settings.database_url)
        yield settings, folder
    finally:
        supervisor.stop()
        embedded.clean_up()
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the settings as environment variables for processes, with rate limits that are never reached."""
    values = {
        "development": "true",
        "database_url": settings.database_url,
        "redis_url": settings.redis_url,
        "s3_endpoint_url": settings.s3_endpoint_url or "",
        "s3_bucket": settings.s3_bucket,
        "s3_access_key_id": settings.s3_access_key_id or "",
        "s3_secret_access_key": settings.s3_secret_access_key.get_secret_value()
        if settings.s3_secret_access_key
        else "",
        "throttle_per_minute": str(10**9),
        "throttle_per_hour": str(10**9),
    }
    return {f"TASKBEACON_{name.upper()}": value for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class Running:
    """A server that responds to requests: its process id, its port, and the seconds that its start took."""

    pid: int
    port: int
    start_seconds: float


@contextmanager
def running(
    *arguments: str, log: Path, environment: Mapping[str, str], checkout: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python ARGUMENTS`, in another checkout if it is given; yield the process, and end it afterwards."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own modules
            [sys.executable, *arguments],
            cwd=checkout,
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # What it still does was measured already.
            process.kill()
            process.wait()


@contextmanager
def serving(
    name: str,
    *arguments: str,
    folder: Path,
    ready: str,
    environment: Mapping[str, str],
    checkout: Path | None = None,
) -> Iterator[Running]:
    """Run `python ARGUMENTS PORT`, and yield once the path `ready` responds with success; end it afterwards."""
    port, log = Home(folder).ports([name])[name], folder / f"{name}.log"
    began = time.perf_counter()
    with running(*arguments, str(port), log=log, environment=environment, checkout=checkout) as process:
        while status_of(f"http://127.0.0.1:{port}{ready}", timeout=2) not in range(200, 300):
            if process.poll() is not None or time.perf_counter() - began > _START_SECONDS:
                raise RuntimeError(f"it does not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.005)
        yield Running(process.pid, port, time.perf_counter() - began)


def resident_megabytes(pid: int) -> float:
    """Return the resident memory of a process, in megabytes."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has ended")
