"""`taskbeacon` as another program sees it: arguments in, streams and exit code out."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_CHECKOUT = Path(__file__).parents[3]
_TIMEOUT_SECONDS = 200


def run_taskbeacon(
    *arguments: str,
    program: str = "app.cli",
    within: Sequence[str] = (),
    cwd: Path | None = None,
    text: str | None = None,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run `taskbeacon` with arguments in its own process and wait for its end; `text` is its standard input.

    `program` is the module that is `taskbeacon`, with its own arguments; `within` is the program that starts
    it, with its arguments.
    """
    return subprocess.run(
        [*within, sys.executable, "-m", *program.split(), *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(_CHECKOUT)} | environment,
        input=text,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )
