"""A PostgreSQL that archives its WAL, and is restored from a base backup as it was at a point in time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import asyncpg

from app.config import Settings
from app.db.schema_revision import upgrade_schema
from app.devstack.home import keep_private
from app.devstack.processes import Supervisor
from app.devstack.servers import postgres
from app.devstack.servers.postgres import Postgres
from tests.support.deployment.processes import free_port

_START_SECONDS = 180.0


def take_base_backup(supervisor: Supervisor, server: Path, port: int, folder: Path, *options: str) -> None:
    """Copy the running PostgreSQL whose files are in `server` into `data` of a new folder."""
    account = postgres.find_account()
    folder.mkdir(mode=0o700)
    if account.owner is not None:
        os.chown(folder, account.owner, -1)
    password = keep_private(server / "passwords.json", dict)["postgres"]
    supervisor.run(
        "pg_basebackup",
        [
            *account.command, str(postgres._binary("pg_basebackup")), "-h", "127.0.0.1", "-p", str(port),
            "-U", "postgres", "-D", str(folder / "data"), "--checkpoint=fast", "--no-sync", *options,
        ],
        environment={**postgres._server_environment(), "PGPASSWORD": password},
        log=folder.parent / "basebackup.log",
        timeout=_START_SECONDS,
    )  # fmt: skip


class ArchivingPostgres:
    """A PostgreSQL that archives its WAL, with a base backup."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._server = Postgres(folder / "server", self._port, durable=False)
        self._data = folder / "server/data"
        self._archive = folder / "archive"
        self._supervisor = Supervisor()

    @property
    def url(self) -> str:
        return self._server.url

    def start(self) -> None:
        """Start the server with the service's schema, and take a base backup."""
        self._run()
        self._server.prepare()
        upgrade_schema(Settings(database_url=self.url).database_url)
        self.stop()
        self._archive.mkdir(mode=0o700)
        owner = postgres.find_account().owner
        if owner is not None:
            os.chown(self._archive, owner, -1)
        self._configure(archive_mode="on", archive_command=f"cp %p {self._archive}/%f")
        self._run()
        take_base_backup(self._supervisor, self._folder / "server", self._port, self._folder / "base")

    def stop(self) -> None:
        """Stop the server; it archives the rest of its WAL."""
        self._supervisor.stop()

    def restore(self, at: datetime) -> None:
        """Replace the server by one with what was committed until `at`, at the same address."""
        self.stop()
        self._data.rename(self._folder / "lost")
        (self._folder / "base/data").rename(self._data)
        self._configure(
            restore_command=f"cp {self._archive}/%f %p",
            recovery_target_time=at.isoformat(),
            recovery_target_action="promote",
            # It takes connections only once it takes writes: `is_ready` cannot tell.
            hot_standby="off",
        )
        (self._data / "recovery.signal").touch()
        self._run()

    def _configure(self, **settings: str) -> None:
        with (self._data / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def _run(self) -> None:
        self._server.start(self._supervisor, self._folder / "postgres.log")
        self._supervisor.wait(self._server.is_ready, what="PostgreSQL", timeout=_START_SECONDS)

    async def now(self) -> datetime:
        """Return the time of the server's clock."""
        server = await asyncpg.connect(self.url)
        at: datetime = await server.fetchval("SELECT clock_timestamp()")
        await server.close()
        return at

    async def pass_transactions(self, count: int) -> None:
        """Use up ids of transactions, as docs/operating/backup.md says."""
        server = await asyncpg.connect(self.url)
        await server.execute(
            f"DO $$ BEGIN FOR i IN 1..{count} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
        )
        await server.close()


@contextmanager
def archiving_postgres(folder: Path) -> Iterator[ArchivingPostgres]:
    """Start a PostgreSQL that archives for the block. Call it outside of an event loop."""
    server = ArchivingPostgres(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
