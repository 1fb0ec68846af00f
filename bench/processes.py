"""The processes under measurement: the service as it is deployed, and the servers it is compared with."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.devstack.loopback import status_of

_START_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Running:
    """A server that responds to requests: its process id, its port, and the seconds that its start took."""

    pid: int
    port: int
    start_seconds: float


@contextmanager
def serving(
    *arguments: str,
    port: int,
    environment: Mapping[str, str],
    ready: str,
    log: Path,
    folder: Path | None = None,
) -> Iterator[Running]:
    """Run `python ARGUMENTS` in `folder`; yield once the path `ready` responds with success; stop it at the end."""
    began = time.perf_counter()
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own modules
            [sys.executable, *arguments],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
        )
    try:
        while status_of(f"http://127.0.0.1:{port}{ready}", timeout=2) // 100 != 2:  # noqa: PLR2004 - success
            if process.poll() is not None or time.perf_counter() - began > _START_SECONDS:
                raise RuntimeError(f"it does not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.005)
        yield Running(process.pid, port, time.perf_counter() - began)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def resident_megabytes(pid: int) -> float:
    """Return the resident memory of a process, in megabytes."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has ended")
