"""Scripts of the console's package.json: `python -m app.devstack.building.scripts NAME …`.

`make check` and `make test` run them.

If Node or the packages are missing, a message says so. This is a failure only if the environment variable CI is set.
"""

import os
import sys
from collections.abc import Sequence

from app.config import Settings
from app.devstack.building import packages
from app.devstack.errors import DevstackError
from app.devstack.terminal import TerminalOutput


def main(names: Sequence[str]) -> int:
    """Run scripts of the console's package.json one after the other, until one fails. Return the exit status."""
    home = Settings(development=True).home.absolute()
    try:
        with packages.lock_builds(home):
            npm = packages.npm_with_packages(home, TerminalOutput(), with_tools=True)
    except DevstackError as error:
        print(f"\n{error}\nThe console was left out ({', '.join(names)}): its packages need a network once.")
        return 1 if os.environ.get("CI") else 0
    for name in names:
        if status := npm.call(("run", "--silent", name), packages.SOURCE):
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
