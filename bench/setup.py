"""The set-up and the first `make demo` of a fresh clone with empty caches.

Before the demo `make run` of the clone, until it prints a link that signs in to the console: with the set-up and
the build of the console, and once more.

python -m bench.setup [--turns 3]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

_CHECKOUT = Path(__file__).parents[1]
_STAMP = ".venv/.installed"


def main() -> None:
    """Measure the first `make demo` and `make run` of a fresh clone, and print the median times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    turns: int = parser.parse_args().turns
    seconds: dict[str, list[float]] = {
        "set-up": [],
        "make run to the console, set-up included": [],
        "make run to the console, again": [],
        "make demo, set-up included": [],
    }
    for turn in range(turns):
        with tempfile.TemporaryDirectory(prefix="taskbeacon-bench-") as folder:
            clone = _clone(Path(folder) / "clone")
            set_up = _time("make", _STAMP, folder=clone)
            seconds["set-up"].append(set_up)
            seconds["make run to the console, set-up included"].append(set_up + _time_to_console(clone))
            seconds["make run to the console, again"].append(_time_to_console(clone))
            seconds["make demo, set-up included"].append(set_up + _time("make", "demo", folder=clone))
        shown = ", ".join(f"{name} {times[-1]:.1f} s" for name, times in seconds.items())
        sys.stdout.write(f"turn {turn + 1}: {shown}\n")
    for name, times in seconds.items():
        sys.stdout.write(f"{name:<42} {statistics.median(times):6.1f} s\n")


def _clone(folder: Path) -> Path:
    subprocess.run(["git", "clone", "--quiet", str(_CHECKOUT), str(folder)], check=True)  # noqa: S603, S607 - ours
    return folder


def _time(*command: str, folder: Path) -> float:
    """Return the seconds that a command takes with the caches of the folder, empty at first."""
    started = time.monotonic()
    _run(command, folder, _environment(folder))
    return time.monotonic() - started


def _time_to_console(clone: Path) -> float:
    """Return the seconds from `make run` to the link that signs in; then stop it."""
    started = time.monotonic()
    command = ("make", "run", "PORT=0")
    with subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=clone, env=_environment(clone), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "/console/login#" in line:
                break
        seconds = time.monotonic() - started
        process.terminate()
        process.stdout.read()
    if not lines or "/console/login#" not in lines[-1]:
        raise SystemExit(f"make run failed:\n{''.join(lines)}")
    return seconds


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment with the caches of the folder, and no other stack."""
    caches = {
        "UV_CACHE_DIR": f"{folder}/caches/uv",
        "PIP_CACHE_DIR": f"{folder}/caches/pip",
        "npm_config_cache": f"{folder}/caches/npm",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TASKBEACON_", "MAKE"))}
    return {**kept, **caches}


def _run(command: Sequence[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - likewise
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
