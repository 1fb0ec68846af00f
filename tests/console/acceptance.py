"""The acceptance scenes of the console (console/e2e), on a wheel that was installed into an environment of its own.

`python -m tests.console.acceptance [SCENE …]`. What is tested is what people install: nothing of the checkout is on the
path of the stack. Where Chromium, Node or a package cannot be had, that is said and is no failure, except with CI in
the environment.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.devstack.bootstrap import uv_environment
from app.devstack.console import SOURCE, Console, Npm
from app.devstack.errors import DevstackError
from app.devstack.home import Home, running_environment
from app.devstack.processes import Supervisor
from app.devstack.terminal import TerminalOutput
from tests.support.deployment.home import developers_home
from tests.support.stand_ins.git_origins import Commit, write_origin
from tests.support.waiting import patient

_ROOT = Path(__file__).parents[2]
_INSTALL_SECONDS = 600.0
_START_SECONDS = 300.0
_SHOWN_LINES = 60
# A case for each price, one of which fails from the beginning.
_TESTS = """\
{
  echo '<testsuite name="shop">'
  for file in prices/*; do
    echo "<testcase classname='prices' name='${file##*/}'>$(grep broken "$file" && echo '<failure/>')</testcase>"
  done
  echo '</testsuite>'
} > report.xml
! grep broken prices/*
"""
_REPOSITORY = {
    "tests/run.sh": _TESTS,
    "prices/apples": "1\n",
    "prices/pears": "broken\n",
    "prices/plums": "3\n",
}


def main(scenes: Sequence[str]) -> int:
    """Play the scenes; return an exit status."""
    terminal = TerminalOutput()
    try:
        chromium, npm = built_console(terminal)
    except DevstackError as error:
        terminal.line(f"\n{error}\nThe acceptance scenes of the console were left out.")
        return 1 if os.environ.get("CI") else 0
    with tempfile.TemporaryDirectory(prefix="taskbeacon-console-") as folder, Supervisor() as supervisor:
        try:
            program = _install(Path(folder), supervisor, terminal)
            base_url = _start(program, Path(folder), supervisor, npm, terminal)
        except DevstackError as error:
            terminal.error(error)
            return 1
        found = {
            "CHROMIUM": chromium,
            "CONSOLE_URL": f"{base_url}/console",
            "TASKBEACON_HOME": f"{folder}/home",
            "TASKBEACON_PROGRAM": str(program),
        }
        status = npm.call(("run", "--silent", "acceptance", "--", *scenes), SOURCE, found)
        if status:
            lines = (Path(folder) / "stack.log").read_text(errors="replace").splitlines()
            terminal.line("\n".join(["The end of the stack's output:", *lines[-_SHOWN_LINES:]]))
        return status


def built_console(terminal: TerminalOutput) -> tuple[str, Npm]:
    """Build the console; return Chromium, and npm with all packages. Raises DevstackError."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        raise DevstackError(
            "There is no Chromium (Debian: apt-get install chromium; or name one in CHROMIUM)."
        )
    home = developers_home()
    console = Console()
    console.build(home, terminal)
    with console.packages(home, terminal, with_tools=True) as npm:
        return chromium, npm


def _install(folder: Path, supervisor: Supervisor, terminal: TerminalOutput) -> Path:
    """Install a wheel of the checkout with the locked packages, and return its program. Raises DevstackError."""
    environment = uv_environment()

    def run(name: str, *command: str) -> None:
        supervisor.run(
            name, command, environment=environment, log=folder / "install.log", timeout=_INSTALL_SECONDS
        )

    uv = (sys.executable, "-m", "uv", "--quiet")
    with terminal.step("Wheel, and an environment with nothing else"):
        run("wheel", sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
        (wheel,) = folder.glob("*.whl")
        out = folder / "client"
        run("client", *uv, "build", "--wheel", "--no-build-isolation", "--out-dir", str(out), "client")
        (client,) = out.glob("*.whl")
        run("environment", *uv, "venv", "--python", sys.executable, str(folder / "venv"))
        run(
            "installation",
            *uv,
            *("pip", "install", "--python", str(folder / "venv" / "bin" / "python")),
            *("--constraint", str(_ROOT / "requirements.lock"), f"taskbeacon @ {client.as_uri()}"),
            f"taskbeacon-server[devstack] @ {wheel.as_uri()}",
        )
    return folder / "venv" / "bin" / "taskbeacon"


def _start(program: Path, folder: Path, supervisor: Supervisor, npm: Npm, terminal: TerminalOutput) -> str:
    """Start a stack in `home`, and return the address of its API. Raises DevstackError."""
    catalog = folder / "catalog.json"
    catalog.write_text(
        subprocess.check_output(["node", "e2e/catalog.mjs"], cwd=SOURCE, env=npm.environment, text=True)
    )
    repositories = folder / "repositories"
    for name in ("acme/prices", "acme/slow"):
        write_origin(repositories / name, [Commit("First", _REPOSITORY)])
    notes = "".join(f"note {number} of this file\n" for number in range(1, 201))
    write_origin(repositories / "acme/notes", [Commit("First", {"notes.txt": notes})])
    write_origin(repositories / "acme/found", [Commit("First", {"Makefile": "test:\n\ttest ! -e broken\n"})])
    home = Home(folder / "home")
    with terminal.step("Stack"):
        supervisor.start(
            "stack",
            [str(program), "dev", "--port", "0"],
            environment=_clean(os.environ)
            | {
                "TASKBEACON_HOME": str(home.root),
                "TASKBEACON_AGENT_CATALOG": str(catalog),
                "TASKBEACON_GIT_BASE_URL": repositories.as_uri(),
            },
            cwd=folder,
            log=folder / "stack.log",
        )
        supervisor.wait(home.dev_json.exists, what="stack", timeout=patient(_START_SECONDS))
    environment = running_environment(home.root)
    assert environment is not None
    return environment["TASKBEACON_PUBLIC_URL"]


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the settings of another stack, and without the make that calls."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("TASKBEACON_") and name not in {"MAKELEVEL", "MAKEFLAGS", "PYTHONPATH"}
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
