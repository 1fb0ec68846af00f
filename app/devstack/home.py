"""The home folder of a development stack: lock, secrets, ports, and the files that describe a running stack.

Everything in it is private to its owner (0700 folders, 0600 files). This module starts nothing.
"""

import fcntl
import json
import os
import random
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from app.devstack.errors import DevstackError
from app.devstack.processes import is_alive
from app.json_types import JsonDict
from taskbeacon.client.settings import write_private

_KILLED_STACK_SECONDS = 60.0
_LOWEST_PORT, _HIGHEST_PORT = 15_000, 31_999  # below the range of ports of outgoing connections


class Home:
    """The home folder of a development stack: the folder with all its data, its lock and the files that describe it."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.dev_json = self.root / "dev.json"
        self.environment_json = self.root / "environment.json"
        self.account_json = self.root / "account.json"
        self.logs = self.root / "logs"
        self.temporary = self.root / "tmp"
        self._lock = self.root / "lock"
        self._ports = self.root / "ports.json"

    def create(self) -> None:
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.root.chmod(0o700)
        except OSError as error:
            raise DevstackError(f"the folder {self.root} cannot be used: {error.strerror}") from error

    def acquire(self) -> int:
        """Lock the home folder when the processes of a killed stack have ended; return a descriptor to inherit."""
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + _KILLED_STACK_SECONDS
        while not _try_lock(descriptor):
            launcher = self._launcher()
            if launcher is not None and is_alive(launcher):
                os.close(descriptor)
                raise DevstackError(
                    f"a development stack already runs in {self.root} (process {launcher}{self._base_url()})"
                )
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise DevstackError(f"processes of a killed development stack still use {self.root}")
            time.sleep(0.05)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self.forget_running()
        # Killed processes leave their temporary files.
        shutil.rmtree(self.temporary, ignore_errors=True)
        self.temporary.mkdir(mode=0o700)
        return descriptor

    def is_running(self) -> bool:
        try:
            descriptor = os.open(self._lock, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            if _try_lock(descriptor, fcntl.LOCK_SH):
                return False
        finally:
            os.close(descriptor)
        launcher = self._launcher()
        return launcher is not None and is_alive(launcher)

    def announce(self, dev: Mapping[str, object], environment: Mapping[str, str]) -> None:
        write_json(self.environment_json, environment)
        write_json(self.dev_json, dev)

    def forget_running(self) -> None:
        self.dev_json.unlink(missing_ok=True)
        self.environment_json.unlink(missing_ok=True)

    def ports(self, names: Iterable[str]) -> dict[str, int]:
        """Return a free TCP port for each name: if possible, the port of the last start."""
        known = read_json(self._ports)
        ports: dict[str, int] = {}
        for name in names:
            before = known.get(name)
            if not isinstance(before, int) or before in ports.values() or not is_free(before):
                before = _find_port(ports.values())
            ports[name] = before
        write_json(self._ports, {**known, **ports})
        return ports

    def _launcher(self) -> int | None:
        with suppress(OSError, ValueError):
            return int(self._lock.read_text(encoding="ascii"))
        return None

    def _base_url(self) -> str:
        url = read_json(self.dev_json).get("base_url")
        return f", {url}" if url else ""


def running_environment(root: Path) -> dict[str, str] | None:
    """Return the variables with which commands reach the running development stack, or None if none is running."""
    home = Home(root)
    environment = read_json(home.environment_json) if home.is_running() else {}
    return {name: str(value) for name, value in environment.items()} or None


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether a server could start to listen on this TCP port of `host` now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def keep_private(path: Path, make: Callable[[], dict[str, str]]) -> dict[str, str]:
    """Return the secrets in a JSON file, by name. Only the owner can read the file."""
    kept = read_json(path)
    if not kept:
        kept = make()
        write_json(path, kept)
    return {name: str(value) for name, value in kept.items()}


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Replace the content of a file atomically by a JSON object, or create the file. Only its owner can read it."""
    write_private(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> JsonDict:
    """Return the JSON object in a file, or an empty dict if the file does not exist or has no JSON object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _find_port(taken: Iterable[int]) -> int:
    avoid = set(taken)
    for _ in range(200):
        port = random.randint(_LOWEST_PORT, _HIGHEST_PORT)  # noqa: S311 - not a secret
        if port not in avoid and is_free(port):
            return port
    raise DevstackError(f"no free port between {_LOWEST_PORT} and {_HIGHEST_PORT} on 127.0.0.1")


def _try_lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
