"""The options of bubblewrap for the sandbox of an agent.

It starts empty and holds only the paths bound here: a forgotten rule shows as a missing file, not as a leak.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from app.agents.agent_folders import AgentFolders
from app.agents.sandbox.policy import SYSTEM_FOLDERS, Confinement, Gateway

# Some agents refuse to work as root, so no agent is root inside.
INSIDE_UID = 1000
# Where every run sees its places: a path that no system uses, and that no text contains by chance.
PLACES = AgentFolders(Path("/run/taskbeacon"))
_ACCOUNTS = Path(__file__).with_name("passwd")  # PostgreSQL refuses to work for a user without one
# The path of the proxy's socket inside the sandbox.
PROXY_SOCKET = "/run/taskbeacon-egress"
_SCRATCH_BYTES = str(2**20)
_SHARED_MEMORY_BYTES = str(256 * 2**20)

_NAMESPACES = ("--unshare-all", "--unshare-user", "--disable-userns")
_PROCESS_OPTIONS = ("--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "agent")
_SHARED_MEMORY = ("--size", _SHARED_MEMORY_BYTES, "--tmpfs", "/dev/shm")  # noqa: S108 - inside, where it is the run's own
_KERNEL_FILES = ("--proc", "/proc", "--dev", "/dev", *_SHARED_MEMORY)
# /proc too: an agent of a worker that is root owns /proc/sys, and can write there without any capability.
_SEAL = ("--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/")
_TEMPORARY = Path("/tmp")  # noqa: S108 - inside, where it is the run's own


def bubblewrap_options(
    confinement: Confinement, *, network: bool, gateway: Gateway | None, private: Sequence[Path]
) -> list[str]:
    """Return the options of bubblewrap; `private` are system paths to cover."""
    user = (INSIDE_UID, INSIDE_UID) if confinement.has_own_user else (os.geteuid(), os.getegid())
    arguments = [*_NAMESPACES, "--uid", str(user[0]), "--gid", str(user[1]), *_PROCESS_OPTIONS]
    if network:
        arguments.append("--share-net")
    arguments += _KERNEL_FILES
    for _depth, mount in sorted(_mounts(confinement, network=network, private=private), key=lambda m: m[0]):
        arguments += mount
    arguments += ["--symlink", str(_TEMPORARY), "/var/tmp"]  # noqa: S108 - inside, where it is the run's own
    if gateway is not None and gateway.socket is not None:
        arguments += ["--ro-bind", str(gateway.socket), PROXY_SOCKET]
    # Otherwise the agent, which owns the covers, could fill them with empty files, which no limit counts.
    open_places = {_TEMPORARY, *(_inside(confinement, path) for path in confinement.changeable)}
    for path in _covered(confinement, network=network, private=private):
        if path.is_dir() and path not in open_places:
            arguments += ["--remount-ro", str(path)]
    return [*arguments, *_SEAL]


def _mounts(
    confinement: Confinement, *, network: bool, private: Sequence[Path]
) -> Iterable[tuple[int, list[str]]]:
    # With the depth of its path: the deepest mount is made last, so it covers those above it.
    for path in _readable(confinement, network=network):
        if path.is_symlink() and path in SYSTEM_FOLDERS:
            yield len(path.parts), ["--symlink", os.readlink(path), str(path)]  # noqa: PTH115 - Path loses "usr/bin/"
        elif path.exists():
            yield _bind("--ro-bind", path, _inside(confinement, path))
    for path in _covered(confinement, network=network, private=private):
        yield len(path.parts), _cover(path)
    yield _bind("--ro-bind", _ACCOUNTS, Path("/etc/passwd"))
    # Programs that hard-code /tmp get the run's own folder; a tmpfs would be memory without a limit.
    yield _bind("--bind", confinement.places.temporary, _TEMPORARY)
    for path in confinement.changeable:
        yield _bind("--bind", path, _inside(confinement, path))


def _bind(option: str, path: Path, inside: Path) -> tuple[int, list[str]]:
    return len(inside.parts), [option, str(path), str(inside)]


def _inside(confinement: Confinement, path: Path) -> Path:
    own = confinement.places
    if any(path.is_relative_to(place) for place in (own.work, own.home, own.temporary)):
        return PLACES.folder / path.relative_to(own.folder)
    return path


def _readable(confinement: Confinement, *, network: bool) -> list[Path]:
    return [*SYSTEM_FOLDERS, *confinement.visible, *_resolver(network=network)]


def _covered(confinement: Confinement, *, network: bool, private: Sequence[Path]) -> Iterable[Path]:
    shown = frozenset(_readable(confinement, network=network))
    for path in (*private, *confinement.hidden):
        if path in shown or not shown.isdisjoint(path.parents):
            yield path


def _cover(path: Path) -> list[str]:
    if path.is_dir():
        return ["--size", _SCRATCH_BYTES, "--perms", "0555", "--tmpfs", str(path)]
    return ["--ro-bind", os.devnull, str(path)] if path.exists() else []


def _resolver(*, network: bool) -> Iterable[Path]:
    resolver = Path("/etc/resolv.conf")
    if network and resolver.is_symlink():
        yield resolver.resolve()
