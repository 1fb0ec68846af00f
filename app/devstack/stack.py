"""The development stack: embedded servers, migrations, API and worker, started and stopped as one.

`run_dev` implements `make run`. `Stack` is the same without the terminal, for the demo and the tests.
"""

import asyncio
import json
import os
import re
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import NoReturn

import asyncpg

import migrations
from app.config import Settings
from app.devstack.account import Account, keep_account, read_account
from app.devstack.console import Console
from app.devstack.errors import DevstackError, StopRequested
from app.devstack.home import Home, is_free, keep_private
from app.devstack.loopback import bypass_proxies, status_of
from app.devstack.processes import Supervisor, end_with_make
from app.devstack.servers.embedded_servers import EmbeddedServers
from app.devstack.terminal import TerminalOutput, show_welcome
from app.json_types import JsonDict

_COMMAND_SECONDS = 300.0
_CONNECT_SECONDS = 5
_READY_SECONDS = 180.0  # far more than an idle machine needs
_REQUEST_SECONDS = 10.0
_BUILD_SECONDS = 900.0
_EMBEDDED = {"postgres": "database_url", "valkey": "redis_url", "seaweedfs": "s3_endpoint_url"}
_SHOWN = frozenset({"api", "worker"})
# The development server of a frontend may use any port of this machine.
_LOOPBACK_ORIGINS = "http://localhost:*,http://127.0.0.1:*,http://[::1]:*,https://localhost:*"
_EVERY_ADDRESS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The configuration of a development stack: the servers to start, and the environment of its processes."""

    home: Path
    host: str = "127.0.0.1"
    port: int = 0
    servers: frozenset[str] = frozenset(_EMBEDDED)
    with_expo_sink: bool = True
    bucket: str = "taskbeacon"
    environment: Mapping[str, str]
    show_output: bool = False  # whether the terminal shows the output of API and worker
    durable: bool = True

    @classmethod
    def from_settings(cls, settings: Settings, environment: Mapping[str, str]) -> "Plan":
        """Return the plan of `make run`. It starts no server for which the settings have a URL."""
        set_fields = settings.model_fields_set
        # After Ctrl-C the worker does not wait for runs; they return to the queue.
        defaults = {"TASKBEACON_LOG_FORMAT": "console", "TASKBEACON_WORKER_DRAIN_SECONDS": "1"}
        if not set_fields & {"throttle_per_minute", "throttle_per_hour"}:
            defaults |= {"TASKBEACON_THROTTLE_PER_MINUTE": "0", "TASKBEACON_THROTTLE_PER_HOUR": "0"}
        if "cors_origins" not in set_fields:
            defaults["TASKBEACON_CORS_ORIGINS"] = _LOOPBACK_ORIGINS
        return cls(
            home=settings.home,
            host=settings.host,
            port=settings.port,
            servers=frozenset(server for server, name in _EMBEDDED.items() if name not in set_fields),
            with_expo_sink="expo_base_url" not in set_fields,
            bucket=settings.s3_bucket,
            environment={**defaults, **environment},
            show_output=True,
        )


class Stack:
    """A development stack: a home folder, and the servers, the API and the worker that use it."""

    def __init__(self, plan: Plan, terminal: TerminalOutput) -> None:
        self.home = Home(plan.home)
        self.supervisor = Supervisor(on_output=terminal.child_lines)
        self.environment: dict[str, str] = {}
        self.plan = plan
        self._terminal = terminal
        self._lock: int | None = None
        self._servers: EmbeddedServers | None = None
        self.base_url = ""

    def start(self) -> Account:
        self.home.create()
        self._lock = self.home.acquire()
        self.supervisor.keep_open(self._lock)
        port = self._choose_port()
        host = "127.0.0.1" if self.plan.host in _EVERY_ADDRESS else self.plan.host
        self.base_url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        pids = self._start_processes(port)
        stored = read_account(self.home)
        account = stored or self._new_account(None)
        with self._terminal.step(f"API        {self.base_url}"):
            self.supervisor.wait(self._is_ready, what="api", timeout=_READY_SECONDS)
        if stored and not self._accepts(stored.api_key):
            account = self._new_account(stored)
        env = {name: value for name, value in self.environment.items() if name.startswith("TASKBEACON_")}
        self.home.announce(self._dev_json(account, pids), env)
        return account

    def build_console(self) -> None:
        if not Console().is_wanted():
            return
        self.home.create()
        command = [sys.executable, "-m", Console.__module__]
        log = self.home.logs / "console.log"
        environment = {**self.plan.environment, "TASKBEACON_HOME": str(self.home.root)}
        try:
            self._terminal.styled_line(
                "  Building the console, once for these sources (about a minute)", "dim"
            )
            self.supervisor.run(
                "console",
                command,
                environment=environment,
                log=log,
                timeout=_BUILD_SECONDS,
                # `sys.stdout` is None if the descriptor was closed before this process started.
                stdout=getattr(sys.stdout, "buffer", None),
            )
        except DevstackError as error:
            self._terminal.line(f"\n  Going on without a new console: {error}")

    def login_link(self) -> str | None:
        return self._command("console", "app.cli", "console") if Console().is_built() else None

    def stop(self) -> None:
        if self._lock is not None:
            self.home.forget_running()
        self.supervisor.stop()
        if self._servers is not None:
            self._servers.clean_up()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _choose_port(self) -> int:
        if self.plan.port == 0:
            return self.home.ports(["api"])["api"]
        if not is_free(self.plan.port, self.plan.host):
            raise DevstackError(
                f"port {self.plan.port} on {self.plan.host} is taken: choose another with "
                f"`make run PORT={self.plan.port + 1}`, or PORT=0 for any free one"
            )
        return self.plan.port

    def _start_processes(self, port: int) -> dict[str, int]:
        started = time.monotonic()

        def report(name: str, address: str) -> None:
            self._terminal.step_done(f"{name:<10} {address}", time.monotonic() - started)

        plan = self.plan
        if plan.servers:
            self._terminal.styled_line(f"  Starting {', '.join(sorted(plan.servers))} …", "dim")
        servers = EmbeddedServers(self.home, wanted=plan.servers, durable=plan.durable, bucket=plan.bucket)
        self._servers = servers
        servers.start(self.supervisor)
        self.environment = self._service_environment(port, servers)
        servers.await_ready(self.supervisor, ["postgres"], report)
        self._migrate()
        pids = {
            "launcher": os.getpid(),
            **servers.pids,
            "api": self._start_service("api", "app.cli", "serve"),
        }
        servers.await_ready(self.supervisor, ["valkey", "seaweedfs"], report)
        pids["worker"] = self._start_service("worker", "app.cli", "worker")
        if plan.with_expo_sink:
            sink_port = self.environment["TASKBEACON_EXPO_BASE_URL"].rpartition(":")[2]
            pids["expo_sink"] = self._start_service(
                "expo_sink", "app.devstack.expo_sink", sink_port, self.base_url
            )
        return pids

    def _migrate(self) -> None:
        database_url = self.environment.get("TASKBEACON_DATABASE_URL", "")
        if needs_migration(database_url):
            with self._terminal.step("Migrations"):
                self._command("migrations", "app.cli", "migrate")

    def _service_environment(self, port: int, servers: EmbeddedServers) -> dict[str, str]:
        generated = keep_private(
            self.home.root / "secret_keys.json", lambda: {"TASKBEACON_SECRET_KEYS": secrets.token_urlsafe(48)}
        )
        environment = {
            **generated,
            **keep_private(self.home.root / "vapid_key.json", self._new_vapid_key),
            # A stand-in for the push service of a browser may listen on this machine.
            "TASKBEACON_WEB_PUSH_HOSTS": ",".join(
                [*Settings.model_fields["web_push_hosts"].default, "127.0.0.1"]
            ),
            # For receivers under development on this machine.
            "TASKBEACON_WEBHOOK_ALLOW_PRIVATE_NETWORKS": "127.0.0.0/8,::1/128",
            "TASKBEACON_PUBLIC_URL": self.base_url,
            **bypass_proxies(self.plan.environment),
            **servers.environment,
            "TASKBEACON_DEVELOPMENT": "true",
            "TASKBEACON_HOME": str(self.home.root),
            "TMPDIR": str(self.home.temporary),
            "TASKBEACON_HOST": self.plan.host,
            "TASKBEACON_PORT": str(port),
            "PYTHONUNBUFFERED": "1",
        }
        if self.plan.with_expo_sink:
            sink = self.home.ports(["expo_sink"])["expo_sink"]
            environment["TASKBEACON_EXPO_BASE_URL"] = f"http://127.0.0.1:{sink}"
        return environment

    def _start_service(self, name: str, module: str, *arguments: str) -> int:
        return self.supervisor.start(
            name,
            [sys.executable, "-m", module, *arguments],
            environment=self.environment,
            log=self.home.logs / f"{name}.log",
            is_shown=self.plan.show_output and name in _SHOWN,
        ).pid

    def _is_ready(self) -> bool:
        return status_of(f"{self.base_url}/readyz", timeout=_REQUEST_SECONDS) == HTTPStatus.OK

    def _accepts(self, api_key: str) -> bool:
        headers = {"Authorization": f"Bearer {api_key}"}
        status = status_of(f"{self.base_url}/api/users/@me/", headers=headers, timeout=_REQUEST_SECONDS)
        return status == HTTPStatus.OK

    def _command(self, name: str, module: str, *arguments: str) -> str:
        return self.supervisor.run(
            name,
            [sys.executable, "-m", module, *arguments],
            environment=self.environment,
            log=self.home.logs / "commands.log",
            timeout=_COMMAND_SECONDS,
        )

    def _new_vapid_key(self) -> dict[str, str]:
        made = json.loads(self._command("key of web push", "app.cli", "admin", "create-vapid-key"))
        return {"TASKBEACON_VAPID_PRIVATE_KEY": made["private_key"]}

    def _new_account(self, stored: Account | None) -> Account:
        ids = (str(stored.project_id), str(stored.user_id)) if stored else ()
        with self._terminal.step("A new key for the account" if stored else "Account of the developer"):
            return keep_account(self.home, self._command("account", "app.devstack.new_account", *ids))

    def _dev_json(self, account: Account, pids: Mapping[str, int]) -> JsonDict:
        return {
            "base_url": self.base_url,
            "database_url": self.environment.get("TASKBEACON_DATABASE_URL"),
            "redis_url": self.environment.get("TASKBEACON_REDIS_URL"),
            "s3_endpoint_url": self.environment.get("TASKBEACON_S3_ENDPOINT_URL"),
            "s3_bucket": self.plan.bucket,
            "project_id": account.project_id,
            "user_id": account.user_id,
            "api_key": account.api_key,
            "pids": dict(pids),
        }


@contextmanager
def stop_on_signals(supervisor: Supervisor) -> Iterator[None]:
    """During the block, request a stop from the supervisor at Ctrl-C, at SIGTERM, and when the terminal closes."""
    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: supervisor.request_stop()) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_dev(settings: Settings) -> int:
    """Run the development stack in the foreground until Ctrl-C or SIGTERM. Return an exit status."""
    end_with_make()
    terminal = TerminalOutput()
    stack = Stack(Plan.from_settings(settings, os.environ), terminal)
    terminal.title(f"Taskbeacon development stack in {stack.home.root}")
    with stop_on_signals(stack.supervisor):
        try:
            _serve(stack, terminal)
        except StopRequested:
            terminal.line()  # the terminal has echoed ^C
            return 0
        except DevstackError as error:
            terminal.error(error)
            return 1
        finally:
            started = time.monotonic()
            if has_children := bool(stack.supervisor.children):
                terminal.styled_line("Stopping …", "dim")
            stack.stop()
            if has_children:
                seconds = time.monotonic() - started
                terminal.styled_line(
                    f"Stopped after {seconds:.1f} s; the data is in {stack.home.root}", "dim"
                )


def _serve(stack: Stack, terminal: TerminalOutput) -> NoReturn:
    stack.build_console()
    started = time.monotonic()
    account = stack.start()
    login_link = stack.login_link()
    terminal.line()
    terminal.title(f"Ready after {time.monotonic() - started:.1f} s")
    show_welcome(
        terminal,
        stack.home,
        account,
        base_url=stack.base_url,
        sink_url=stack.environment["TASKBEACON_EXPO_BASE_URL"] if stack.plan.with_expo_sink else None,
        login_link=login_link,
    )
    stack.supervisor.run_until_stopped()


def needs_migration(database_url: str) -> bool:
    """Return whether the database may lack a revision. Alembic is not asked: it loads as long as PostgreSQL starts."""
    files = Path(migrations.__file__ or "").parent.glob("versions/*.py")
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    revisions, followed = (
        set(re.findall(rf"""^{name} = ["'](\w+)["']$""", source, re.MULTILINE))
        for name in ("revision", "down_revision")
    )
    return asyncio.run(_database_revision(database_url)) not in revisions - followed


async def _database_revision(database_url: str) -> str | None:
    dsn = database_url.replace("postgresql+asyncpg://", "postgresql://", 1)
    try:
        connection = await asyncpg.connect(dsn, timeout=_CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError):
        # ValueError: asyncpg accepts fewer URLs than SQLAlchemy, which the service uses.
        return None
    try:
        revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await connection.close()
    return revision
