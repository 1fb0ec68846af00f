"""A PostgreSQL and a Valkey of a test's own, which it may kill, restart and empty."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from app.config import Settings
from app.devstack.home import Home
from app.devstack.processes import Supervisor
from app.devstack.servers.postgres import Postgres
from app.devstack.servers.valkey import Valkey
from app.services.schema_revision import upgrade_schema

_START_SECONDS = 180.0


class OwnServer:
    """One server; what it stores survives a restart only if it is PostgreSQL's."""

    def __init__(self, name: str, server: Postgres | Valkey, log: Path) -> None:
        self._name = name
        self._server = server
        self._log = log
        # Of its own: a supervisor takes the end of any of its children for a failure.
        self._supervisor = Supervisor()

    @property
    def url(self) -> str:
        return self._server.url

    def start(self) -> None:
        """Start, and return when it answers."""
        self._server.start(self._supervisor, self._log)
        self._supervisor.wait(self._server.is_ready, what=self._name, timeout=_START_SECONDS)

    def stop(self) -> None:
        """End it as an operator does; its connections are broken."""
        self._supervisor.stop()

    def freeze(self) -> None:
        """Have it answer nothing, and keep its connections and what it stores, until it is thawed."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Have it go on; harmless where it was not frozen."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for child in self._supervisor.children:
            os.kill(child.pid, number)


class OwnServers:
    """Both, with the service's schema."""

    def __init__(self, folder: Path) -> None:
        home = Home(folder)
        home.create()
        ports = home.ports(["postgres", "valkey"])
        self._database = Postgres(folder / "postgres", ports["postgres"], durable=False)
        self.postgres = OwnServer("PostgreSQL", self._database, home.logs / "postgres.log")
        self.valkey = OwnServer(
            "Valkey", Valkey(folder / "valkey", ports["valkey"], durable=False), home.logs / "valkey.log"
        )

    def create_schema(self) -> None:
        """Make the service's database and its tables."""
        self._database.create_database()
        upgrade_schema(Settings(database_url=self.postgres.url).database_url)


@contextmanager
def own_servers(folder: Path) -> Iterator[OwnServers]:
    """Start both and yield them; leaving the block stops what runs of them. Call it outside of an event loop."""
    servers = OwnServers(folder)
    with ExitStack() as stack:
        for server in (servers.valkey, servers.postgres):
            stack.callback(server.stop)
            server.start()
        servers.create_schema()
        yield servers
