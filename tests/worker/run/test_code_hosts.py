"""Private repositories and pull requests: real worker, real git over HTTP, a code host that checks tokens."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
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
from app.models import PushedBranch, RunCredential
from app.outages import DatabaseUnavailable
from app.services.code_hosts.host_credentials import CodeHosts
from app.services.runs import run_credentials
from tests.support.database.queries import recorded
from tests.support.stand_ins.github import Reply
from tests.worker.private_host import TOKEN, USER_TOKEN, WORK, Host, Lookout, app_installation

AS_USER = {"mode": "background", "pr_authorship_mode": "user"}


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


async def test_installation_of_an_app_acts_by_tokens_of_an_hour(host: Host) -> None:
    integration = await host.integrate(installation=app_installation(host.service))

    for _ in range(2):
        run = await host.perform(integration)
        assert run.status == RunStatus.COMPLETED, run.error_message

    assert {pull["author"] for pull in host.service.pulls} == {"app-42[bot]"}
    assert host.service.asked("POST", "/access_tokens") == 1


async def test_token_of_an_app_that_is_about_to_end_is_renewed(host: Host) -> None:
    integration = await host.integrate(installation=app_installation(host.service))
    host.service.token_lifetime = timedelta(minutes=5)

    run = await host.perform(integration)

    assert run.status == RunStatus.COMPLETED, run.error_message
    assert host.service.asked("POST", "/access_tokens") == 3, "to clone, to push, to open the pull request"


async def test_token_of_an_app_is_asked_for_again_where_the_host_is_away(host: Host) -> None:
    integration = await host.integrate(installation=app_installation(host.service))
    busy = Reply(403, {"Retry-After": "0"}, "You have exceeded a secondary rate limit.")
    host.service.replies.extend([Reply(502, {"Retry-After": "0"}), busy])

    run = await host.perform(integration)

    assert run.status == RunStatus.COMPLETED, run.error_message
    assert host.service.asked("POST", "/access_tokens") == 3


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (
            Reply(404, message="Not Found"),
            "No token for the GitHub App: The code host answered 404: Not Found",
        ),
        (
            Reply(403, {"Retry-After": "3600"}, "Slow down"),
            "No token for the GitHub App: The code host answered 403",
        ),
    ],
)
async def test_app_that_gets_no_token_fails_the_run_and_says_why(
    host: Host, reply: Reply, words: str
) -> None:
    integration = await host.integrate(installation=app_installation(host.service))
    host.service.replies.append(reply)

    run = await host.perform(integration)

    assert run.status == RunStatus.FAILED
    assert words in (run.error_message or "")
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
    async with unit_of_work(host.workshop.sessions) as session:
        assert (await session.execute(select(RunCredential))).all() == []
    again = await host.perform(integration, state=state)
    assert again.status == RunStatus.FAILED
    assert "used and is forgotten" in (again.error_message or "")


async def test_branch_is_kept_where_no_client_can_write(host: Host) -> None:
    integration = await host.integrate(token=TOKEN)

    run = await host.perform(integration)

    async with unit_of_work(host.workshop.sessions) as session:
        kept = await session.get_one(PushedBranch, run.id)
    assert run.output is not None
    assert (kept.repository, kept.branch, kept.base_branch) == ("acme/app", run.output["head_branch"], "main")
    assert (kept.head_sha, kept.integration_id) == (run.output["head_sha"], integration.id)
    assert kept.pull_request_url == run.output["pr_url"]


async def test_token_is_in_no_process_file_or_log(
    host: Host, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    integration = await host.integrate(token=TOKEN)
    lookout = Lookout(tmp_path, [TOKEN])
    work = f"```sh\nenv; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'\n```\n{WORK}"

    async with lookout.looking(host.service):
        run = await host.perform(integration, work)

    assert run.status == RunStatus.COMPLETED, run.error_message
    assert lookout.found == set()
    assert "git" in lookout.looked_at
    seen = [await host.log_of(run), str(run.output), str(run.state), caplog.text]
    seen += [await host.workshop.stored(artifact["storage_path"]) for artifact in run.artifacts]
    assert not [text for text in seen if TOKEN in text]


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
