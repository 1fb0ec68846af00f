"""What the command `taskbeacon` costs, installed alone: as a multiple of an empty Python program.

Processor time, so that the figures hold on a busy machine: of whole commands, or until the first request has come where
one is sent. Run it with `make bench ARGS="--only client"`.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from typing_extensions import override

from app.devstack.bootstrap import uv_environment
from bench.table import timing

_ROUNDS: Final = 15
_EMPTY: Final = b'{"next": null, "results": []}'
# A command, and how many times an empty program it may take.
_COMMANDS: Final = {
    ("--help",): 7,
    ("task", "create", "--help"): 7,
    ("completion", "bash"): 7,
    ("inbox",): 13,
    ("task", "list", "--json", "slug"): 13,
    ("api", "GET", "tasks"): 13,
}


class _Server(BaseHTTPRequestHandler):
    # Who asks, and the seconds that it has spent when its first request has come.
    pid = 0
    spent = 0.0

    def do_GET(self) -> None:
        if not _Server.spent:
            threads = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
            _Server.spent = sum(int(each.read_text(encoding="ascii").split()[0]) for each in threads) / 1e9
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(_EMPTY)))
        self.end_headers()
        self.wfile.write(_EMPTY)

    @override
    def log_message(self, *_: object) -> None:
        pass


def rows() -> list[tuple[str, ...]]:
    """Install the client, and measure it; return rows of the table of `make bench`."""
    with tempfile.TemporaryDirectory() as folder, ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uv = (sys.executable, "-m", "uv", "--quiet")
        for command in (
            (*uv, "venv", "--python", sys.executable, folder),
            (*uv, "pip", "install", "--python", folder, "--compile-bytecode", "./client"),
        ):
            subprocess.run(command, check=True, env=uv_environment())  # noqa: S603 - uv
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "TASKBEACON_URL": f"http://127.0.0.1:{server.server_port}",
            "TASKBEACON_TOKEN": "phx_bench",
        }
        programs: dict[tuple[str, ...], list[str]] = {("bare",): [f"{folder}/bin/python", "-c", "pass"]}
        programs |= {words: [f"{folder}/bin/taskbeacon", *words] for words in _COMMANDS}
        spent: dict[tuple[str, ...], list[float]] = {words: [] for words in programs}
        for _ in range(_ROUNDS):
            for words, program in programs.items():
                spent[words].append(_cpu_seconds(program, environment))
        server.shutdown()
    bare, *_ = (statistics.median(times) * 1000 for times in spent.values())
    lines: list[tuple[str, ...]] = []
    for words, most in _COMMANDS.items():
        name = f"taskbeacon {' '.join(words)} (≤ {most})"
        lines += timing(
            name, statistics.median(spent[words]) * 1000, reference=bare, referee="python -c pass"
        )
    return lines


def _cpu_seconds(program: list[str], environment: Mapping[str, str]) -> float:
    with subprocess.Popen(  # noqa: S603 - our own
        program, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=Path("/")
    ) as process:
        _Server.pid, _Server.spent = process.pid, 0.0
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, program)
    return _Server.spent or usage.ru_utime + usage.ru_stime
