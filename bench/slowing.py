"""`python -m bench.slowing SHARE PID…`: let processes run in turns, each for its share of the time.

Each is as fast as a part of a processor then, which leaves the rest of the machine to those whom they ask: what else
would hold up several of them shows. Ends with its input, and leaves all of them running.
"""

import os
import select
import signal
import sys
from typing import Final

_TURN_SECONDS: Final = 0.02


def main() -> None:
    """Stop and continue them until the input ends."""
    share, pids = float(sys.argv[1]), [int(pid) for pid in sys.argv[2:]]
    rest = _TURN_SECONDS * (1 - share * len(pids))
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        while True:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
                if _is_over(_TURN_SECONDS * share):
                    return
                os.kill(pid, signal.SIGSTOP)
            if _is_over(rest):
                return
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _is_over(seconds: float) -> bool:
    return bool(select.select([sys.stdin], [], [], seconds)[0])


if __name__ == "__main__":
    main()
