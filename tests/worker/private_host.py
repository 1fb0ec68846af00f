"""A private repository at a code host that checks tokens, and the worker beside it."""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.clients.storage.storage_keys import RunRef
from app.db import unit_of_work
from app.models import Integration, Run, UserIntegration
from app.services.accounts import integrations
from app.services.accounts.integrations import AppInstallation
from app.worker.jobs.execute_run import execute_run
from tests.fixtures.worker import Repositories, Workshop
from tests.support.factories import make_run
from tests.support.keys import rsa_key, rsa_pem
from tests.support.stand_ins.github import CodeHostService

TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
USER_TOKEN = "ghu_9876543210abcdefghijABCDEFGHIJ012345"
WORK = "```file path=hello.txt\nHello\n```\n```say\nSaid hello.\n```"


@dataclass(frozen=True, slots=True)
class Host:
    """The code host, where it is, and the worker beside it."""

    service: CodeHostService
    url: str
    workshop: Workshop
    repositories: Repositories

    async def integrate(self, **given: Any) -> Integration:
        process = self.workshop.context.process
        async with unit_of_work(process.sessions) as session:
            return await integrations.create_integration(
                session,
                process.cipher,
                project_id=self.workshop.project.id,
                new=integrations.NewIntegration(kind="github", git_url=self.url, **given),
            )

    async def link(self, token: str) -> UserIntegration:
        process = self.workshop.context.process
        async with unit_of_work(process.sessions) as session:
            return await integrations.create_user_integration(
                session, process.cipher, user_id=self.workshop.owner.id, kind="github", token=token
            )

    async def perform(self, integration: Integration | None, work: str = WORK, **given: Any) -> Run:
        """Have the worker perform a task in the private repository; return the run as it ended."""
        task = {"repository": "acme/app", "title": "Say hello", **given}
        run = await self.workshop.queued_run(
            work, github_integration_id=integration.id if integration else None, **task
        )
        return await self.execute(run)

    async def execute(self, run: Run) -> Run:
        await execute_run(self.workshop.arq_context, run_id=str(run.id))
        return await self.workshop.read(run)

    async def resume(self, previous: Run) -> Run:
        """Have the task performed once more, from where this run ended."""
        async with unit_of_work(self.workshop.sessions) as session:
            task = await self.workshop.task_of(previous)
            state = {"mode": "background", "resume_from_run_id": str(previous.id)}
            run = await make_run(session, task=task, state=state)
            run.dispatch_requested_at = run.created_at
        return await self.execute(run)

    async def log_of(self, run: Run) -> str:
        return await self.workshop.stored(RunRef(run.project_id, run.task_id, run.id).log_key)


def app_installation(service: CodeHostService) -> AppInstallation:
    """Return an installation of an App that the host knows."""
    public = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    service.apps["42"] = public
    return AppInstallation(app_id="42", installation_id="7", private_key=rsa_pem())


@dataclass(slots=True)
class Lookout:
    """Looks for secrets in every process of the machine and every file of the worker, again and again."""

    folder: Path
    secrets: Sequence[str]
    found: set[str] = field(default_factory=set)
    looked_at: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def looking(self, host: CodeHostService) -> AsyncGenerator[None, None]:
        """Look while the body lasts, and once while each answer of the host is waited for."""
        done = asyncio.Event()

        async def look() -> None:
            await asyncio.to_thread(self._look)

        async def look_all_the_time() -> None:
            while not done.is_set():
                await look()

        host.while_clients_wait = look
        looking = asyncio.create_task(look_all_the_time())
        try:
            yield
        finally:
            done.set()
            await looking
            host.while_clients_wait = None

    def _look(self) -> None:
        own = str(os.getpid())
        for process in Path("/proc").iterdir():
            if not process.name.isdigit() or process.name == own:
                continue
            for name in ("cmdline", "environ"):
                content = _read(process / name)
                self.looked_at.update(
                    Path(part).name for part in content.decode(errors="replace").split("\0")[:2]
                )
                if self._is_in(content):
                    self.found.add(f"{name} of {content[:200]!r}")
        for place in ("home", "repositories"):
            # Unlike `rglob` this passes over folders that go while it looks.
            for parent, _, names in os.walk(self.folder / place):
                self.found.update(
                    f"{parent}/{name}" for name in names if self._is_in(_read(Path(parent, name)))
                )

    def _is_in(self, content: bytes) -> bool:
        return any(secret.encode() in content for secret in self.secrets)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.is_file() else b""
    except OSError:
        return b""
