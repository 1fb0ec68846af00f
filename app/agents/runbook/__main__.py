"""`python -m app.agents.runbook`: the runbook agent on standard input and output."""

import signal
import sys

from app.agents.runbook.agent import RunbookAgent
from app.agents.runbook.connection import Connection


def _main() -> None:
    # If our parent ignores it, the kernel does not keep the exit status of programs.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    connection = Connection(sys.stdin.buffer, sys.stdout.fileno())
    agent = RunbookAgent(connection)
    try:
        connection.serve(agent.methods)
    finally:
        agent.cancel_all()
        connection.close()


if __name__ == "__main__":
    _main()
