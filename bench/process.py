"""The cost of processes by themselves: the start of each kind, and when an API process is ready and what it holds.

Processor time, as a multiple of what a process needs to load the same libraries and nothing of ours, so that the
figures hold on a busy machine. Run it with `make bench ARGS="--only process"`.
"""

import os
import resource
import statistics
import subprocess
import sys
from typing import Final

from app.processes.own_program import module_command
from bench.servers import environment_of, resident_megabytes, servers, serving
from bench.table import timing

_ROUNDS: Final = 5
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
    _CHECK: module_command("app.agents.outputs.schema_check", libraries=True),
}


def _programs(rounds: int) -> dict[str, float]:
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


def rows() -> list[tuple[str, ...]]:
    """Measure starts, and the memory of an API process at rest; return rows of the table of `make bench`."""
    # Byte code is written by the first start of a checkout, which is not what is measured.
    subprocess.run([sys.executable, "-m", "compileall", "-q", "app"], check=True)
    spent = _programs(_ROUNDS)
    lines: list[tuple[str, ...]] = []
    for name, milliseconds in spent.items():
        if name != _LIBRARIES_ALONE:
            lines += timing(name, milliseconds, reference=spent[_LIBRARIES_ALONE], referee=_LIBRARIES_ALONE)
    with servers() as (settings, folder):
        serve = ("-m", "app.cli", "serve", "--port")
        environment = environment_of(settings)
        with serving("api", *serve, folder=folder, ready="/readyz", environment=environment) as service:
            name = f"API ready ({resident_megabytes(service.pid):.0f} MB at rest)"
            return [*lines, *timing(name, service.start_seconds * 1000)]
