"""Tokens at code hosts: whose a run acts with, and that none is seen: real worker, real git over HTTP."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from app.db import unit_of_work
from app.enums import RunStatus
from app.models import RunCredential
from app.services.runs import run_credentials
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
