"""`make agents`: installs agents from npm, and a Node for them where the machine has none.

They go into the agents folder (`TASKBEACON_AGENTS`, by default `.taskbeacon/agents`), where the worker finds
them:

    node_modules/    the packages of agents/package-lock.json for the requested agents, without install scripts
    node/            Node from PyPI, if the one on PATH is missing or too old

Each agent is a workspace of agents/package.json. Agents installed before stay, also if an installation fails:
a new one is made in another folder and replaces the old one when it is complete. Safe to interrupt (the stamp
is written last); does nothing if all is current.
"""

import fcntl
import hashlib
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from app.config import Settings
from app.devstack.console import find_npm, put
from app.devstack.errors import DevstackError
from app.devstack.terminal import TerminalOutput

USUAL_AGENTS = ("claude", "codex")

_SOURCE = Path(__file__).parents[2] / "agents"
# No installed code runs outside the sandbox.
_INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund")
_OLDEST_NODE = (22, 0)  # the highest version that an agent requires


def install_agents(folder: Path, names: Sequence[str], terminal: TerminalOutput) -> bool:
    """Install agents into `folder`, beside those that are there already; return False if all are current."""
    known: list[str] = json.loads((_SOURCE / "package.json").read_text())["workspaces"]
    if unknown := sorted(set(names) - set(known)):
        raise DevstackError(f"no agent '{unknown[0]}' can be installed; there are {', '.join(known)}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stamp = folder / ".installed"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        digest = _digest()
        installed_digest, _, installed = stamp.read_text().partition(" ") if stamp.exists() else ("", "", "")
        wanted = [name for name in known if name in {*names, *installed.split()}]
        if installed_digest == digest and installed.split() == wanted:
            return False
        stamp.write_text(f" {' '.join(installed.split())}")
        fresh = folder / "fresh"
        shutil.rmtree(fresh, ignore_errors=True)
        npm = find_npm(folder, _OLDEST_NODE, terminal)
        shutil.copytree(_SOURCE, fresh, ignore=shutil.ignore_patterns("node.lock"))
        with terminal.step(f"Agents {', '.join(wanted)} (100 to 450 MB each)"):
            npm.run([*_INSTALL, *(f"--workspace={name}" for name in wanted)], fresh)
        for made in list(fresh.iterdir()):
            put(made, folder)
        shutil.rmtree(fresh)
        stamp.write_text(f"{digest} {' '.join(wanted)}")
    return True


def _digest() -> str:
    digest = hashlib.sha256()
    for file in sorted(file for file in _SOURCE.rglob("*") if file.is_file()):
        digest.update(file.relative_to(_SOURCE).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def main() -> int:
    """Install the agents that the command's arguments name, by default `claude` and `codex`; return an exit status."""
    terminal = TerminalOutput()
    folder = Settings(development=True).agents_path
    terminal.title(f"Agents in {folder}")
    started = time.monotonic()
    try:
        if not install_agents(folder, sys.argv[1:] or USUAL_AGENTS, terminal):
            terminal.line("  They are installed already.")
    except DevstackError as error:
        terminal.line()
        print(f"Error: {error}", file=sys.stderr)
        return 1
    terminal.step_done("Ask `taskbeacon agents` what answers", time.monotonic() - started)
    return 0


if __name__ == "__main__":
    sys.exit(main())
