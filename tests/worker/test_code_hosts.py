"""Private repositories and pull requests: real worker, real git over HTTP, a code host that checks tokens."""

import asyncio
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sqlalchemy import select

from app.db import unit_of_work
from app.enums import RunStatus
from app.models import Integration, PushedBranch, Run, RunCredential, UserIntegration
from app.services import integrations, run_credentials
from app.services.artifact_rules import log_key
from app.services.integrations import AppInstallation
from app.worker.jobs.execute_run import execute_run
from tests.fixtures.worker import Repositories, Workshop
from tests.support.factories import make_run
from tests.support.github import Answer, CodeHostService, github_application
from tests.support.serving import serving

TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
USER_TOKEN = "ghu_9876543210abcdefghijABCDEFGHIJ012345"
WORK = "```file path=hello.txt\nHello\n```\n```say\nSaid hello.\n```"
AS_USER = {"mode": "background", "pr_authorship_mode": "user"}


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
                kind="github",
                git_url=self.url,
                **given,
            )

    async def link(self, token: str) -> UserIntegration:
        process = self.workshop.context.process
        async with unit_of_work(process.sessions) as session:
            return await integrations.create_user_integration(
                session, process.cipher, user_id=self.workshop.owner.id, kind="github", token=token
            )

    async def perform(self, integration: Integration | None, work: str = WORK, **given: Any) -> Run:
        """Have the worker perform a task in the private repository; return the run as it ended."""
        run = await self.workshop.queued_run(
            work,
            repository="acme/app",
            github_integration_id=integration.id if integration else None,
            title="Say hello",
            **given,
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
        return await self.workshop.stored(log_key(run.project_id, run.task_id, run.id))


@pytest.fixture
async def host(workshop: Workshop, repositories: Repositories, tmp_path: Path) -> AsyncGenerator[Host, None]:
    service = CodeHostService(tmp_path / "repositories", {TOKEN: "bot", USER_TOKEN: "ada"})
    repositories.create("acme/app", {"README.md": "Acme\n"})
    async with serving(github_application(service)) as url:
        yield Host(service, url, workshop, repositories)


@pytest.mark.parametrize(
    ("token", "words"), [(None, "needs credentials"), ("ghp_wrong", "refused the service's credentials")]
)
async def test_private_repository_is_refused_without_its_token(
    host: Host, token: str | None, words: str
) -> None:
    run = await host.perform(await host.integrate(token=token))

    assert run.status == RunStatus.FAILED
    assert words in (run.error_message or "")
    assert token is None or token not in (run.error_message or "")


async def test_run_pushes_to_a_private_repository_and_opens_a_draft(host: Host) -> None:
    run = await host.perform(await host.integrate(token=TOKEN))

    assert run.status == RunStatus.COMPLETED, run.error_message
    assert run.output is not None
    branch = run.output["head_branch"]
    assert host.repositories.show("acme/app", f"{branch}:hello.txt") == "Hello\n"
    [pull] = host.service.pulls
    assert (pull["title"], pull["draft"], pull["head"], pull["base"]) == ("Say hello", True, branch, "main")
    assert (pull["author"], "Said hello." in pull["body"], "`hello.txt`" in pull["body"]) == (
        "bot",
        True,
        True,
    )
    assert run.output["pr_url"] == run.state["pr_url"] == pull["html_url"]
    assert pull["html_url"] in await host.log_of(run)


async def test_resumed_run_goes_on_with_the_branch_and_its_pull_request(host: Host) -> None:
    first = await host.perform(await host.integrate(token=TOKEN))
    host.service.pulls[0]["body"] = "Before. " + host.service.pulls[0]["body"] + " After."

    second = await host.resume(first)

    assert (first.output or {})["head_branch"] is not None
    assert (second.output or {})["head_branch"] is None, "the same work changes nothing"
    async with unit_of_work(host.workshop.sessions) as session:
        task = await session.merge(await host.workshop.task_of(first))
        task.description = "```file path=more.txt\nMore\n```\n```say\nSaid more.\n```"
    third = await host.resume(second)
    assert third.output is not None, third.error_message
    branch = (first.output or {})["head_branch"]
    assert third.output["head_branch"] == branch
    assert host.repositories.show("acme/app", f"{branch}:hello.txt") == "Hello\n"
    assert host.repositories.show("acme/app", f"{branch}:more.txt") == "More\n"
    [pull] = host.service.pulls
    assert pull["body"].startswith("Before. ")
    assert pull["body"].endswith(" After.")
    assert "Said more." in pull["body"]
    assert "Said hello." not in pull["body"]
    assert third.output["pr_url"] == pull["html_url"]


async def test_fault_of_the_host_is_waited_for(host: Host) -> None:
    host.service.answers.extend([Answer(502, {"Retry-After": "0"}), Answer(429, {"Retry-After": "0"})])

    run = await host.perform(await host.integrate(token=TOKEN))

    assert (run.output or {})["pr_url"] == host.service.pulls[0]["html_url"]


async def test_pull_request_whose_answer_was_lost_is_not_opened_again(host: Host) -> None:
    # The look-ups pass; the third request takes effect, but nobody hears of it.
    host.service.answers.extend([None, None, Answer(503, {"Retry-After": "0"}, after=True)])

    run = await host.perform(await host.integrate(token=TOKEN))

    assert len(host.service.pulls) == 1
    assert (run.output or {})["pr_url"] == host.service.pulls[0]["html_url"]


async def test_refusal_of_the_host_is_told_and_costs_nothing_else(host: Host) -> None:
    host.service.answers.append(Answer(403, message="Resource not accessible by personal access token"))

    run = await host.perform(await host.integrate(token=TOKEN))

    assert run.status == RunStatus.COMPLETED
    assert run.output is not None
    assert "Resource not accessible" in run.output["pr_error"]
    assert run.state["pr_error"] == run.output["pr_error"]
    assert run.output["pr_error"] in await host.log_of(run)
    assert run.output["head_branch"] in host.repositories.branches("acme/app")
    assert [artifact["name"] for artifact in run.artifacts] == ["changes.patch"]


async def test_host_without_drafts_gets_a_plain_pull_request(host: Host) -> None:
    host.service.has_drafts = False

    await host.perform(await host.integrate(token=TOKEN))

    assert [pull["draft"] for pull in host.service.pulls] == [False]


async def test_output_of_a_schema_stays_as_it_is(host: Host) -> None:
    run = await host.perform(
        await host.integrate(token=TOKEN),
        WORK + '\n```json output\n{"answer": 42}\n```',
        json_schema={"type": "object", "additionalProperties": False, "properties": {"answer": {}}},
    )

    assert run.output == {"answer": 42}
    assert run.state["pr_url"] == host.service.pulls[0]["html_url"]


async def test_installation_of_an_app_acts_by_tokens_of_an_hour(host: Host) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    host.service.apps["42"] = public
    integration = await host.integrate(
        installation=AppInstallation(app_id="42", installation_id="7", private_key=private)
    )

    for _ in range(2):
        run = await host.perform(integration)
        assert run.status == RunStatus.COMPLETED, run.error_message

    assert {pull["author"] for pull in host.service.pulls} == {"app-42[bot]"}
    assert host.service.asked("POST", "/access_tokens") == 1


async def test_linked_account_acts_where_the_run_is_the_users(host: Host) -> None:
    await host.link(USER_TOKEN)

    run = await host.perform(
        await host.integrate(token=TOKEN),
        state={**AS_USER, "github_credential_source": "server_integration"},
    )

    assert run.status == RunStatus.COMPLETED, run.error_message
    assert host.service.pulls[0]["author"] == "ada"
    assert {login for _, _, login in host.service.requests} == {None, "ada"}
    signed = host.repositories.author("acme/app", (run.output or {})["head_branch"])
    assert signed == f"Test User <{host.workshop.owner.email}>"


async def test_token_of_the_request_is_used_once_and_forgotten(host: Host) -> None:
    integration = await host.integrate(token=TOKEN)
    state = {**AS_USER, "github_credential_source": "caller_token"}
    run = await host.workshop.queued_run(
        WORK, repository="acme/app", github_integration_id=integration.id, state=state
    )
    async with unit_of_work(host.workshop.sessions) as session:
        await run_credentials.keep_token(session, host.workshop.context.process.cipher, run.id, USER_TOKEN)

    ended = await host.execute(run)

    assert ended.status == RunStatus.COMPLETED, ended.error_message
    assert host.service.pulls[0]["author"] == "ada"
    async with host.workshop.sessions() as session:
        assert (await session.execute(select(RunCredential))).all() == []
    again = await host.perform(integration, state=state)
    assert again.status == RunStatus.FAILED
    assert "used and is forgotten" in (again.error_message or "")


async def test_branch_is_kept_where_no_client_can_write(host: Host) -> None:
    integration = await host.integrate(token=TOKEN)

    run = await host.perform(integration)

    async with host.workshop.sessions() as session:
        kept = await session.get_one(PushedBranch, run.id)
    assert run.output is not None
    assert (kept.repository, kept.branch, kept.base_branch) == ("acme/app", run.output["head_branch"], "main")
    assert (kept.head_sha, kept.integration_id) == (run.output["head_sha"], integration.id)
    assert (kept.pull_request_number, kept.pull_request_url) == (1, run.output["pr_url"])


async def test_token_is_in_no_process_file_or_log(
    host: Host, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Looks at every process of the machine and every file of the worker, again and again while the run goes on."""
    integration = await host.integrate(token=TOKEN)
    found: set[str] = set()
    looked_at: set[str] = set()
    done = asyncio.Event()

    async def look() -> None:
        while not done.is_set():
            await asyncio.to_thread(_search, tmp_path, found, looked_at)

    looking = asyncio.create_task(look())
    work = f"```sh\nenv; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'\n```\n{WORK}"
    run = await host.perform(integration, work)
    done.set()
    await looking

    assert run.status == RunStatus.COMPLETED, run.error_message
    assert found == set()
    assert "git" in looked_at
    seen = [await host.log_of(run), str(run.output), str(run.state), caplog.text]
    seen += [await host.workshop.stored(artifact["storage_path"]) for artifact in run.artifacts]
    assert not [text for text in seen if TOKEN in text]


def _search(folder: Path, found: set[str], looked_at: set[str]) -> None:
    secret, own = TOKEN.encode(), str(os.getpid())
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or process.name == own:
            continue
        for name in ("cmdline", "environ"):
            content = _read(process / name)
            looked_at.update(Path(part).name for part in content.decode(errors="replace").split("\0")[:2])
            if secret in content:
                found.add(f"{name} of {content[:200]!r}")
    for place in ("home", "repositories"):
        # Unlike `rglob` this passes over folders that go while it looks.
        for parent, _, names in os.walk(folder / place):
            found.update(f"{parent}/{name}" for name in names if secret in _read(Path(parent, name)))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.is_file() else b""
    except OSError:
        return b""
