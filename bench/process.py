"""The cost of an API process by itself: start, memory at rest, growth of memory over requests.

Processor time, and as a multiple of what a process needs to load the same libraries and nothing of ours, so
that the figures hold on a busy machine. Run it with `make bench-process`.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import asyncpg
import click
import uvloop

from app.config import Settings
from app.devstack.home import Home
from app.processes.own_program import module_command
from app.runtime import open_process
from bench.cases import CASES
from bench.data import fill, make_account
from bench.load import cpu_seconds, send_for
from bench.processes import Running, resident_megabytes, serving
from bench.servers import environment_of, servers
from bench.table import timing

_ROUNDS: Final = 5
_REQUESTS: Final = 100_000
_TASKS: Final = 1_000
_CONNECTIONS: Final = 16
_PORTION_SECONDS: Final = 2.0
_MEMORY_BAR_MB: Final = 120
_READY_BAR_SECONDS: Final = 1.0
_LIBRARIES: Final = (
    "fastapi, uvicorn, uvloop, httptools, sqlalchemy.ext.asyncio, sqlalchemy.dialects.postgresql.asyncpg, asyncpg, "
    "redis.asyncio, arq.connections, pydantic_settings, structlog, prometheus_client, httpx, orjson, botocore.auth"
)
_LIBRARIES_ALONE: Final = "libraries alone"
# Taking apart what was loaded is no part of a start.
_END: Final = "import os; os._exit(0)"
_COMMAND: Final = "from app.cli import main; main.get_command(None, '{}')"
_API: Final = "from app.cli.serving.loading import load_api; load_api()"
_CHECK: Final = "check of an output"
_PROGRAMS: Final = {
    # As ours are loaded: without garbage collection.
    _LIBRARIES_ALONE: (sys.executable, "-c", f"import gc; gc.disable(); import {_LIBRARIES}; {_END}"),
    "API, loaded": (sys.executable, "-c", f"{_COMMAND.format('serve')}; {_API}; {_END}"),
    "worker, loaded": (sys.executable, "-c", f"{_COMMAND.format('worker')}; {_END}"),
    "admin command, loaded": (
        sys.executable,
        "-c",
        f"{_COMMAND.format('admin')}.get_command(None, 'create-key'); {_END}",
    ),
    "taskbeacon --help": (sys.executable, "-m", "app.cli", "--help"),
    # Paid by every run.
    "agent's launcher, loaded": (sys.executable, "-c", "import app.agents.sandbox.launcher"),
    "runbook agent": module_command("app.agents.runbook"),
    _CHECK: module_command("app.agents.workspace.schema_check", libraries=True),
}


def _programs(rounds: int) -> dict[str, float]:
    """Return the processor time of each program from start to end in milliseconds, measured in turns."""
    spent: dict[str, list[float]] = {name: [] for name in _PROGRAMS}
    environment = {**os.environ, "TASKBEACON_DEVELOPMENT": "true"}
    for _ in range(rounds):
        for name, command in _PROGRAMS.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            given = b"[1, {}]" if name == _CHECK else b""
            subprocess.run(  # noqa: S603 - our own
                command, input=given, capture_output=True, check=True, env=environment
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {name: statistics.median(times) * 1000 for name, times in spent.items()}


async def _requests(settings: Settings, service: Running, count: int) -> tuple[int, float, float]:
    """Send requests of every kind; return how many, and the memory after a tenth of them and after all."""
    connection = await asyncpg.connect(settings.database_url.replace("+asyncpg", ""))
    async with open_process(settings, name="bench") as process:
        account = await make_account(process.sessions, connection)
        project, *_ = await fill(process.sessions, connection, account, [_TASKS])
    await connection.close()
    sources = [
        (wire.encode(account.authorization) for wire in case.requests(account, project)) for case in CASES
    ]
    sent, early = 0, 0.0
    while sent < count:
        for source in sources:
            cost = await send_for(
                [service.port], source, connections=_CONNECTIONS, seconds=_PORTION_SECONDS / len(sources)
            )
            sent += len(cost.latencies)
        if not early and sent >= count / 10:
            early = resident_megabytes(service.pid)
    return sent, early, resident_megabytes(service.pid)


def _service(settings: Settings, folder: Path, count: int) -> dict[str, Any]:
    port = Home(folder).ports(["api"])["api"]
    with serving(
        *("-m", "app.cli", "serve", "--port", str(port)),
        port=port,
        environment=environment_of(settings),
        ready="/readyz",
        log=folder / "api.log",
    ) as service:
        cpu, rest = cpu_seconds([service.pid]), resident_megabytes(service.pid)
        sent, early, late = uvloop.run(_requests(settings, service, count))
    return {
        "ready_seconds": round(service.start_seconds, 2),
        "ready_cpu_seconds": round(cpu, 2),
        "at_rest_mb": round(rest),
        "requests": sent,
        "after_a_tenth_mb": round(early),
        "after_all_mb": round(late),
        "ok": service.start_seconds < _READY_BAR_SECONDS and rest < _MEMORY_BAR_MB,
    }


def rows() -> list[tuple[str, ...]]:
    """Measure the start and the memory of an API process; return rows of the table of `make bench`."""
    spent = _programs(_ROUNDS)
    with servers() as settings, tempfile.TemporaryDirectory(prefix="taskbeacon-bench-") as folder:
        result = _service(settings, Path(folder), _REQUESTS)
    lines: list[tuple[str, ...]] = []
    for name, milliseconds in spent.items():
        if name != _LIBRARIES_ALONE:
            lines += timing(name, milliseconds, reference=spent[_LIBRARIES_ALONE], referee=_LIBRARIES_ALONE)
    memory = f"{result['at_rest_mb']} MB, {result['after_all_mb']} MB after {result['requests']:,} requests"
    return [*lines, *timing(f"API ready ({memory})", result["ready_seconds"] * 1000)]


@click.command()
@click.option("--requests", default=_REQUESTS, show_default=True, help="How many to look for growth over.")
@click.option("--rounds", default=_ROUNDS, show_default=True, help="How often each program is started.")
def main(requests: int, rounds: int) -> None:
    """Measure the start and the memory of an API process, and print the figures."""
    # Byte code is written by the first start of a checkout, which is not what is measured.
    subprocess.run([sys.executable, "-m", "compileall", "-q", "app"], check=True)
    spent = _programs(rounds)
    for name, milliseconds in spent.items():
        ratio = milliseconds / spent[_LIBRARIES_ALONE]
        click.echo(f"{name:<26} {milliseconds:7.0f} ms of processor time  {ratio:5.2f}")
    with servers() as settings, tempfile.TemporaryDirectory(prefix="taskbeacon-bench-") as folder:
        os.environ.setdefault("TASKBEACON_LOG_LEVEL", "ERROR")
        click.echo(json.dumps(_service(settings, Path(folder), requests), indent=2))


if __name__ == "__main__":
    main()
