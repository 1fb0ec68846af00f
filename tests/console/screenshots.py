"""`make screenshots`: the images of the README, of the console with the demo's run.

`python -m tests.console.screenshots FOLDER`
"""

import sys
from pathlib import Path

from app.devstack.console import SOURCE
from app.devstack.demo import run_demo
from app.devstack.errors import DevstackError
from app.devstack.stack import Stack
from app.devstack.terminal import TerminalOutput
from tests.console.acceptance import built_console


def main(folder: Path) -> int:
    """Draw the images; return an exit status."""
    terminal = TerminalOutput()
    try:
        chromium, npm = built_console(terminal)
    except DevstackError as error:
        terminal.error(error)
        return 1

    def draw(stack: Stack) -> None:
        found = {
            "CHROMIUM": chromium,
            "CONSOLE_URL": f"{stack.base_url}/console",
            "TASKBEACON_HOME": str(stack.home.root),
        }
        if npm.call(("run", "--silent", "screenshots", "--", str(folder)), SOURCE, found):
            raise DevstackError("the images could not be drawn")

    return run_demo(draw)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
