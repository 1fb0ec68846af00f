"""The embedded servers of one home folder, started together, for the stack and the tests.

Only the requested servers are started. A server that the settings name by URL is not requested.
"""

from collections.abc import Callable, Iterable

from app.devstack.home import Home
from app.devstack.processes import Supervisor
from app.devstack.servers import seaweedfs
from app.devstack.servers.postgres import Postgres
from app.devstack.servers.seaweedfs import SeaweedFS
from app.devstack.servers.valkey import Valkey

_START_SECONDS = 180.0

Report = Callable[[str, str], None]  # takes the name and the address of a server that is ready


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
