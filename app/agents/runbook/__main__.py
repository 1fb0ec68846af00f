"""`python -m app.agents.runbook`: the runbook agent on standard input and output."""

import signal
import sys

from app.agents.runbook.agent import RunbookAgent
from app.agents.runbook.line import Line


def _main() -> None:
    # Where whoever started us ignores it, the kernel keeps the exit status of a program for nobody.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    line = Line(sys.stdin.buffer, sys.stdout.fileno())
    agent = RunbookAgent(line)
    try:
        line.serve(agent.methods)
    finally:
        agent.cancel_all()
        line.close()


if __name__ == "__main__":
    _main()
