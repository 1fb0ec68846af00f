"""`make screenshots`: the images of the README, of the console with the demo's run.

`python -m tests.console.screenshots FOLDER`
"""

import sys
from pathlib import Path

from app.devstack.building import packages
from app.devstack.console import Console
from app.devstack.demo.demo import run_demo
from app.devstack.errors import DevstackError
from app.devstack.stack import Stack
from tests.console.acceptance import built_console


def main(folder: Path) -> int:
    """Draw the images; return an exit status."""
    console = Console()
    try:
        chromium, npm = built_console(console)
    except DevstackError as error:
        console.error(error)
        return 1

    def draw(stack: Stack) -> None:
        found = {
            "CHROMIUM": chromium,
            "CONSOLE_URL": f"{stack.base_url}/console",
            "TASKBEACON_HOME": str(stack.home.root),
        }
        if npm.call(("run", "--silent", "screenshots", "--", str(folder)), packages.SOURCE, found):
            raise DevstackError("the images could not be drawn")

    return run_demo(draw)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
