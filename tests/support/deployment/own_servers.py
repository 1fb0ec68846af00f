"""A PostgreSQL and a Valkey of a test's own, which it may kill, restart and empty."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from app.config import Settings
from app.db.schema_revision import upgrade_schema
from app.devstack.home import Home
from app.devstack.processes import Supervisor
from app.devstack.servers.embedded_servers import Valkey
from app.devstack.servers.postgres import Postgres

_START_SECONDS = 180.0


class OwnServer:
    """A PostgreSQL or Valkey server of one test; only PostgreSQL keeps its data over a restart."""

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
        """Start the server, and wait until it responds."""
        self._server.start(self._supervisor, self._log)
        self._supervisor.wait(self._server.is_ready, what=self._name, timeout=_START_SECONDS)

    def stop(self) -> None:
        """Stop the server as an operator does; its connections break."""
        self._supervisor.stop()

    def freeze(self) -> None:
        """Freeze the server: it responds no more but keeps its connections and data, until it is thawed."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server continue; has no effect on others."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for child in self._supervisor.children:
            os.kill(child.pid, number)


class OwnServers:
    """A PostgreSQL and a Valkey server of one test, with the service's schema."""

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
        self._database.prepare()
        upgrade_schema(Settings(database_url=self.postgres.url).database_url)


@contextmanager
def own_servers(folder: Path) -> Iterator[OwnServers]:
    """Start PostgreSQL and Valkey for the block, and stop them after it. Call it outside of an event loop."""
    servers = OwnServers(folder)
    with ExitStack() as stack:
        for server in (servers.valkey, servers.postgres):
            stack.callback(server.stop)
            server.start()
        servers.create_schema()
        yield servers
