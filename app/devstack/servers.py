"""The embedded servers of one home folder, started together: the stack and the tests both use this.

A server whose URL is already given is not started.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from app.devstack import seaweedfs
from app.devstack.home import Home
from app.devstack.postgres import Postgres
from app.devstack.processes import Supervisor
from app.devstack.seaweedfs import SeaweedFS
from app.devstack.valkey import Valkey

__all__ = ["Servers", "start_servers"]

_START_SECONDS = 60.0


@dataclass(slots=True)
class Servers:
    """What was started: the settings that lead the service to it, and its process ids by name."""

    environment: dict[str, str] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)
    s3: SeaweedFS | None = None

    def clean_up(self) -> None:
        """Remove what the servers left outside the home folder, once they have ended."""
        if self.s3 is not None:
            self.s3.clean_up()


def start_servers(
    supervisor: Supervisor,
    home: Home,
    *,
    wanted: Iterable[str],
    durable: bool,
    bucket: str,
    report: Callable[[str, str], None] | None = None,
) -> Servers:
    """Start those of `postgres`, `valkey` and `seaweedfs` that are wanted, in parallel, and await them.

    `report` is told name and address of each as it gets ready. Raises DevstackError, StopRequested.
    """
    wanted = frozenset(wanted)
    ports = home.ports(["postgres", "valkey", *seaweedfs.PORT_NAMES])
    servers = Servers()
    tell = report or (lambda _name, _address: None)
    valkey = s3 = postgres = None
    # The slowest is first, and waiting begins when all are under way.
    if "seaweedfs" in wanted:
        s3 = SeaweedFS(
            home.root / "seaweedfs", {name: ports[name] for name in seaweedfs.PORT_NAMES}, bucket=bucket
        )
        servers.s3 = s3
        servers.pids["seaweedfs"] = s3.start(supervisor, home.logs / "seaweedfs.log").pid
        servers.environment |= s3.environment
    if "valkey" in wanted:
        valkey = Valkey(home.root / "valkey", ports["valkey"], durable=durable)
        servers.pids["valkey"] = valkey.start(supervisor, home.logs / "valkey.log").pid
        servers.environment["TASKBEACON_REDIS_URL"] = valkey.url
    if "postgres" in wanted:
        postgres = Postgres(home.root / "postgres", ports["postgres"], durable=durable)
        servers.pids["postgres"] = postgres.start(supervisor, home.logs / "postgres.log").pid
        servers.environment["TASKBEACON_DATABASE_URL"] = postgres.url
    if postgres is not None:
        supervisor.wait(postgres.is_ready, what="PostgreSQL", timeout=_START_SECONDS)
        postgres.create_database()
        tell("PostgreSQL", postgres.address)
    if valkey is not None:
        supervisor.wait(valkey.is_ready, what="Valkey", timeout=_START_SECONDS)
        tell("Valkey", valkey.address)
    if s3 is not None:
        supervisor.wait(s3.is_ready, what="SeaweedFS", timeout=_START_SECONDS)
        s3.create_bucket()
        tell("SeaweedFS", s3.address)
    return servers
