"""`python -m app.agents.runbook`: the runbook agent on standard input and output."""

import sys

from app.agents.runbook.agent import RunbookAgent
from app.agents.runbook.line import Line


def _main() -> None:
    line = Line(sys.stdin.buffer, sys.stdout.fileno())
    agent = RunbookAgent(line)
    try:
        line.serve(agent.methods)
    finally:
        # Threads of prompts end now, and Python waits for them.
        agent.cancel_all()


if __name__ == "__main__":
    _main()
