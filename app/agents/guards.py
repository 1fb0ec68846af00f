"""Programs of the system that do for bubblewrap what launcher.py does, in a tenth of its time.

Each takes something upon itself and becomes the next: `setpriv` the signal at the worker's death, a shell the look
whether that was before it (the signal would never come) and the word that the kernel may end this first, `prlimit` the
limits. Where one of them is missing, or knows less than Linux's own, launcher.py is used.
"""

import os
import resource
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Guards", "find_guards"]

_SYSTEM_PATH = "/usr/bin:/bin"
# As launcher.py says it.
_CANNOT_RUN = 126
_CHECK = f"""\
[ "$PPID" = "$1" ] || exit {_CANNOT_RUN}
{{ echo 1000 > /proc/self/oom_score_adj; }} 2>/dev/null
shift
exec "$@"
"""


@dataclass(frozen=True, slots=True)
class Guards:
    """Where the programs are."""

    setpriv: str
    shell: str
    prlimit: str

    def command(self, limits: Mapping[str, int]) -> list[str]:
        """Return the command line up to the command, which this process is to start.

        `limits` are by their names in resource.h, less the prefix; none is raised above what this process has.
        """
        bounds = [f"--{name.lower()}={_possible(name, wanted)}" for name, wanted in limits.items()]
        return [
            *(self.setpriv, "--pdeathsig", "KILL", "--"),
            *(self.shell, "-c", _CHECK, "guard", str(os.getpid())),
            *(self.prlimit, "--core=0", *bounds, "--"),
        ]


def find_guards() -> Guards | None:
    """Return the programs if all of them are there; whether they do what they should is seen by running them."""
    setpriv, shell, prlimit = (shutil.which(name, path=_SYSTEM_PATH) for name in ("setpriv", "sh", "prlimit"))
    return Guards(setpriv, shell, prlimit) if setpriv and shell and prlimit else None


def _possible(name: str, wanted: int) -> int:
    _, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
