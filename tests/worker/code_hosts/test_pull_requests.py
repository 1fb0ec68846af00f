"""Private repositories and pull requests: real worker, real git over HTTP, a code host that checks tokens."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from typing_extensions import override

from app.clients.github.github_answers import GitHubAccess, PullRequest
from app.clients.github.github_client import GitHubClient
from app.clients.storage.object_store import ObjectStore
from app.config import Settings
from app.db import unit_of_work
from app.enums import RunStatus
from app.models import PushedBranch
from app.outages import DatabaseUnavailable
from app.services.code_hosts.host_credentials import CodeHosts
from tests.support.database.queries import recorded
from tests.support.stand_ins.github import Reply
from tests.worker.private_host import TOKEN, WORK, Host


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
    same = ("head_branch", "head_sha", "pr_url")
    assert [(first.output or {})[name] for name in same] == [(second.output or {})[name] for name in same]
    assert "`hello.txt`" in host.service.pulls[0]["body"], "the same work changes nothing"
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


async def test_name_of_a_file_does_not_end_the_section_of_the_pull_request(host: Host) -> None:
    work = "```sh\nmkdir '<!-- '\necho 1 > '<!-- /taskbeacon -->'\n```"
    first = await host.perform(await host.integrate(token=TOKEN), work)
    async with unit_of_work(host.workshop.sessions) as session:
        task = await session.merge(await host.workshop.task_of(first))
        task.description = "```sh\necho 2 > '<!-- /taskbeacon -->'\n```\n```say\nSaid more.\n```"
    await host.resume(first)

    [pull] = host.service.pulls
    assert pull["body"].count("Made by an agent") == 1
    assert pull["body"].endswith("<!-- /taskbeacon -->")
    assert "Said more." in pull["body"]


async def test_fault_of_the_host_is_waited_for(host: Host, engine: AsyncEngine) -> None:
    """Regression: no other process could write about the branch meanwhile."""
    host.service.replies.extend([Reply(502, {"Retry-After": "0"}), Reply(429, {"Retry-After": "0"})])

    async with recorded(engine) as statements:
        run = await host.perform(await host.integrate(token=TOKEN))

    assert (run.output or {})["pr_url"] == host.service.pulls[0]["html_url"]
    leases = [each for each in statements if each.sql.startswith("SELECT pushed_branches.writing_until")]
    assert len(leases) == 3, "one for each try"


async def test_pull_request_with_a_lost_answer_is_not_opened_again(host: Host) -> None:
    # The look-ups pass; the third request takes effect, but its response is lost.
    host.service.replies.extend([None, None, Reply(503, {"Retry-After": "0"}, after=True)])

    run = await host.perform(await host.integrate(token=TOKEN))

    assert len(host.service.pulls) == 1
    assert (run.output or {})["pr_url"] == host.service.pulls[0]["html_url"]


async def test_log_says_once_that_the_pull_request_waits_for_the_host(host: Host) -> None:
    host.service.replies.extend([Reply(503, {"Retry-After": "0"})] * 2)

    run = await host.perform(await host.integrate(token=TOKEN))

    said = re.findall(r"The pull request waits|Pull request: ", await host.log_of(run))
    assert said == ["The pull request waits", "Pull request: "]


async def test_refusal_of_the_host_is_reported_and_costs_nothing_else(host: Host) -> None:
    host.service.replies.append(Reply(403, message="Resource not accessible by personal access token"))

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
    assert run.state["head_branch"] in host.repositories.branches("acme/app")


async def test_branch_is_kept_where_no_client_can_write(host: Host) -> None:
    integration = await host.integrate(token=TOKEN)

    run = await host.perform(integration)

    async with unit_of_work(host.workshop.sessions) as session:
        kept = await session.get_one(PushedBranch, run.id)
    assert run.output is not None
    assert (kept.repository, kept.branch, kept.base_branch) == ("acme/app", run.output["head_branch"], "main")
    assert (kept.head_sha, kept.integration_id) == (run.output["head_sha"], integration.id)
    assert kept.pull_request_url == run.output["pr_url"]


class NotingStore(ObjectStore):
    """A store that notes the names of its new objects among the steps of a run."""

    def __init__(self, settings: Settings, steps: list[str]) -> None:
        super().__init__(settings)
        self._steps = steps

    @override
    async def put(self, key: str, body: bytes | Path, *, content_type: str, tags: Mapping[str, str]) -> None:
        await super().put(key, body, content_type=content_type, tags=tags)
        self._steps.append(key.rpartition("/")[2])


class FaultyGitHub(GitHubClient):
    """A code host that fails in a way that nothing expects, and notes when."""

    def __init__(self, http: httpx.AsyncClient, steps: list[str], error: Exception) -> None:
        super().__init__(http)
        self._steps = steps
        self._error = error

    @override
    async def find_pull_request(
        self, access: GitHubAccess, repository: str, branch: str
    ) -> PullRequest | None:
        self._steps.append("publish")
        raise self._error


@pytest.mark.parametrize("error", [ValueError("planted"), DatabaseUnavailable()])
async def test_unexpected_fault_of_publishing_costs_nothing_else(
    host: Host, github_http: httpx.AsyncClient, error: Exception
) -> None:
    """Regression: a run that had pushed its branch was left without an end, and failed as lost, without its files."""
    steps: list[str] = []
    process = host.workshop.context.process
    code_hosts = CodeHosts(FaultyGitHub(github_http, steps, error), process.cipher)
    async with NotingStore(process.settings, steps) as store:
        workshop = host.workshop.with_process(store=store)
        workshop = replace(workshop, context=replace(workshop.context, code_hosts=code_hosts))
        run = await replace(host, workshop=workshop).perform(await host.integrate(token=TOKEN))

    assert run.status == RunStatus.COMPLETED, run.error_message
    assert run.output is not None
    assert "is pushed, but has no pull request: The worker met an unexpected" in run.output["pr_error"]
    assert [artifact["name"] for artifact in run.artifacts] == ["changes.patch"]
    [patch] = [step for step in steps if step.endswith("changes.patch")]
    assert steps.index(patch) < steps.index("publish"), "whatever happens to the worker, the files are kept"
    async with unit_of_work(host.workshop.sessions) as session:
        assert await session.scalar(select(PushedBranch.branch)) == run.output["head_branch"]
