"""Servers that fail over: a PostgreSQL with a synchronous standby, a Valkey under Sentinels, a proxy of APIs."""

import asyncio
import os
import secrets
import shutil
import signal
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.config import Settings
from app.db.schema_revision import upgrade_schema
from app.devstack.home import keep_private
from app.devstack.processes import Child, Supervisor
from app.devstack.servers import embedded_servers
from app.devstack.servers.postgres import Postgres
from taskbeacon.client.settings import write_private
from tests.support.deployment.processes import free_port
from tests.support.deployment.restoring import take_base_backup
from tests.support.waiting import eventually

_START_SECONDS = 180.0
SERVICE = "taskbeacon"
_SENTINELS = 3
_QUORUM = 2


class Running:
    """A server process of a test."""

    def __init__(self, child: Child) -> None:
        self._child = child

    def kill(self) -> None:
        """Kill the server and all that it has started, as if its machine had lost its power."""
        # What ends by itself meanwhile is no failure, and the children of a killed PostgreSQL end with it.
        self._child.process.kill()
        self._child.process.wait()

    def freeze(self) -> None:
        """Stop the server from answering, as if its machine had lost its network."""
        for pid in [self._child.pid, *_children_of(self._child.pid)]:
            os.kill(pid, signal.SIGSTOP)

    def end(self) -> None:
        """Kill the server if it still runs, frozen or not."""
        if self._child.process.poll() is None:
            for pid in [self._child.pid, *_children_of(self._child.pid)]:
                # Some end by themselves as soon as the first has.
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._child.process.wait()


def _children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class PostgresPair:
    """A PostgreSQL whose commits wait for its standby, which a test promotes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._supervisor = Supervisor()
        self._ports = (free_port(), free_port())
        self._primary = Postgres(folder / "primary", self._ports[0], durable=False)
        self.primary: Running

    @property
    def url(self) -> str:
        both = ",".join(f"127.0.0.1:{port}" for port in self._ports)
        return self._primary.url.replace(self._primary.address, both)

    def start(self) -> None:
        """Start both."""
        child = self._primary.start(self._supervisor, self._folder / "primary.log")
        self.primary = Running(child)
        self._supervisor.wait(self._primary.is_ready, what="PostgreSQL", timeout=_START_SECONDS)
        self._primary.prepare()
        upgrade_schema(Settings(database_url=self._primary.url).database_url)
        self._copy().start(self._supervisor, self._folder / "standby.log")

    def stop(self) -> None:
        """Stop what still runs."""
        self.primary.end()
        self._supervisor.stop()

    async def promote(self) -> None:
        """Make the standby the primary, as whatever watches over both does."""
        server = await self._administer(self._ports[1])
        await server.execute("SELECT pg_promote(wait => true)")
        await server.close()

    def _copy(self) -> Postgres:
        primary, folder = self._folder / "primary", self._folder / "standby"
        take_base_backup(self._supervisor, primary, self._ports[0], folder, "--write-recovery-conf")
        shutil.copy(primary / "passwords.json", folder)
        return Postgres(folder, self._ports[1], durable=False)

    async def wait(self) -> None:
        """Wait until commits wait for the standby, and it confirms them."""
        server = await self._administer(self._ports[0])
        # After the copy, whose commits shall wait for nobody.
        await server.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        await server.execute("SELECT pg_reload_conf()")
        # The command line of a fast server says otherwise.
        await server.execute("ALTER ROLE taskbeacon SET synchronous_commit = on")

        async def confirms() -> bool:
            return bool(await server.fetchval("SELECT sync_state = 'sync' FROM pg_stat_replication"))

        await eventually(confirms, within_seconds=_START_SECONDS)
        await server.close()

    async def _administer(self, port: int) -> asyncpg.Connection:
        return await asyncpg.connect(
            host="127.0.0.1", port=port, user="postgres", password=self._password, database="postgres"
        )

    @property
    def _password(self) -> str:
        return keep_private(self._folder / "primary/passwords.json", dict)["postgres"]


class ValkeyGroup:
    """A Valkey with a replica, over which three Sentinels watch; passwords everywhere."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._supervisor = Supervisor()
        self._password, self._sentinel_password = secrets.token_urlsafe(12), secrets.token_urlsafe(12)
        self._ports = (free_port(), free_port())
        self._sentinels = [free_port() for _ in range(_SENTINELS)]
        self.primary: Running

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._sentinels)
        of_sentinels = f"sentinel_password={self._sentinel_password}"
        return f"redis+sentinel://:{self._password}@{hosts}/{SERVICE}/0?{of_sentinels}"

    def start(self) -> None:
        """Start all."""
        primary, replica = self._ports
        own = {"requirepass": self._password, "masterauth": self._password, "save": '""'}
        own["repl-diskless-sync-delay"] = "0"
        self.primary = Running(self._run("primary", {"port": str(primary), **own}))
        self._run("replica", {"port": str(replica), "replicaof": f"127.0.0.1 {primary}", **own})
        for number, port in enumerate(self._sentinels):
            watch = {
                "port": str(port),
                "requirepass": self._sentinel_password,
                "sentinel sentinel-pass": self._sentinel_password,
                "sentinel monitor": f"{SERVICE} 127.0.0.1 {primary} {_QUORUM}",
                f"sentinel auth-pass {SERVICE}": self._password,
                f"sentinel down-after-milliseconds {SERVICE}": "500",
                f"sentinel failover-timeout {SERVICE}": "3000",
            }
            self._run(f"sentinel{number}", watch, "--sentinel")

    def stop(self) -> None:
        """Stop what still runs."""
        self.primary.end()
        self._supervisor.stop()

    @asynccontextmanager
    async def demoted(self) -> AsyncGenerator[None, None]:
        """Have the primary take no writes during the block; it keeps its connections, and Sentinels believe in it."""
        async with Redis(port=self._ports[0], password=self._password) as server:
            await server.replicaof("127.0.0.1", self._ports[1])
            yield
            await server.replicaof("NO", "ONE")

    def _run(self, name: str, settings: Mapping[str, str], *options: str) -> Child:
        folder = self._folder / name
        folder.mkdir(parents=True)
        lines = {"bind": "127.0.0.1", "dir": f'"{folder}"', **settings}
        configuration = folder / "valkey.conf"
        write_private(configuration, "".join(f"{key} {value}\n" for key, value in lines.items()))
        return self._supervisor.start(
            name,
            [str(embedded_servers._valkey_program()), str(configuration), *options],
            environment={"PATH": os.defpath, "LC_ALL": "C"},
            cwd=folder,
            log=self._folder / f"{name}.log",
        )

    async def wait(self) -> None:
        """Wait until the Sentinels know each other and the replica."""
        for port in self._sentinels:
            async with Redis(port=port, password=self._sentinel_password) as sentinel:

                async def knows(sentinel: Redis = sentinel) -> bool:
                    try:
                        states: Any = await sentinel.sentinel_masters()  # type: ignore[no-untyped-call] # redis-py leaves it bare
                    except (RedisError, OSError):
                        return False
                    state = states[SERVICE]
                    return (state["num-slaves"], state["num-other-sentinels"]) == (1, _SENTINELS - 1)

                await eventually(knows, within_seconds=_START_SECONDS)


class FailingOver:
    """A PostgreSQL pair and a Valkey group, and settings that lead to them."""

    def __init__(self, folder: Path) -> None:
        self.postgres = PostgresPair(folder / "postgres")
        self.valkey = ValkeyGroup(folder / "valkey")

    def lead(self, settings: Settings) -> Settings:
        """Return these settings with the addresses of these servers."""
        addresses = {"database_url": self.postgres.url, "redis_url": self.valkey.url}
        return Settings.model_validate(settings.model_dump() | addresses)


@contextmanager
def failing_over(folder: Path) -> Iterator[FailingOver]:
    """Start servers that fail over for the block. Call it outside of an event loop."""
    both = FailingOver(folder)
    with ExitStack() as stack:
        for server in (both.valkey, both.postgres):
            stack.callback(server.stop)
            server.start()
        for server in (both.postgres, both.valkey):
            asyncio.run(server.wait())
        yield both


@contextmanager
def proxy_of(ports: list[int], folder: Path) -> Iterator[str]:
    """Run haproxy in front of APIs on these ports for the block; yield its address."""
    program = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("haproxy is not installed")
    port = free_port()
    configuration = folder / "haproxy.cfg"
    servers_ = "".join(
        f"    server api{number} 127.0.0.1:{each} check\n" for number, each in enumerate(ports)
    )
    configuration.write_text(
        "defaults\n    mode http\n    timeout connect 1s\n    timeout client 60s\n    timeout server 60s\n    timeout check 10s\n"
        "    option redispatch 1\n    retries 3\n    default-server inter 200ms fall 1 rise 1\n"
        f"frontend taskbeacon\n    bind 127.0.0.1:{port}\n    default_backend apis\n"
        f"backend apis\n    balance roundrobin\n    option httpchk GET /livez\n{servers_}"
    )
    with Supervisor() as supervisor:
        argv = [program, "-db", "-f", str(configuration)]
        supervisor.start("haproxy", argv, environment={"PATH": os.defpath}, log=folder / "haproxy.log")
        yield f"http://127.0.0.1:{port}"
