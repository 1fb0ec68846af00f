"""Open a draft pull request for the pushed branch of a run, or update the text of an open one; repeatable.

A failure never fails the run: it is reported in the output.
"""

from dataclasses import dataclass
from functools import partial

import structlog

from app.agents.errors import UnexpectedError, as_agent_error
from app.agents.run_result import RunResult
from app.agents.session.transcript import Emit
from app.clients.github.github_answers import GitHubAccess, PullRequest
from app.clients.github.github_client import GitHubClient
from app.clients.github.github_errors import GitHubError, GitHubRefused
from app.db import SessionFactory
from app.dialogue.agent_reports import progress_entry
from app.json_types import JsonDict
from app.services.code_hosts.host_credentials import HostAccess
from app.services.code_hosts.pull_request_lease import sole_writer
from app.services.code_hosts.section_marks import WORK
from app.services.retrying.policies import CODE_HOST
from app.services.retrying.retries import RetryBudget

_TITLE_LENGTH = 200
_SUMMARY_LENGTH = 10_000
_MOST_FILES = 50
_PATH_LENGTH = 200

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestSubject:
    """The task that a pull request is about, for the text of the pull request: its repository, title, slug and page."""

    repository: str
    title: str
    slug: str
    # The page that shows the task; empty without such a page.
    task_url: str


@dataclass(frozen=True, slots=True)
class PullRequestResult:
    """The pull request of a run, or why it has none; both None if none was wanted."""

    pull_request: PullRequest | None = None
    error: str | None = None

    def output(self) -> JsonDict:
        """Return the entry to add to the run's output: `pr_url` or `pr_error`. It is empty if both fields are None."""
        if self.pull_request is not None:
            return {"pr_url": self.pull_request.url}
        return {"pr_error": self.error} if self.error else {}


async def open_pull_request(
    github: GitHubClient, access: HostAccess, subject: PullRequestSubject, result: RunResult, emit: Emit
) -> PullRequestResult:
    """Open or update the pull request of a run; return it, the message of a failure, or nothing."""
    api_url = access.host.api_url
    if result.head_branch is None or result.base_branch is None or api_url is None:
        return PullRequestResult()
    try:
        token = await access.token()
        if token is None:
            return PullRequestResult()
        api = GitHubAccess(api_url, token)
        pull_request = await RetryBudget(CODE_HOST).call(
            partial(_publish, github, api, access.sessions, subject, result, emit),
            report=lambda error: emit(progress_entry("pull_request", f"The pull request waits: {error}")),
        )
    except Exception as error:
        # An outage of the database must not fail the run either: the agent's work is done.
        failure = error if isinstance(error, GitHubError) else as_agent_error(error)
        is_unexpected = isinstance(failure, UnexpectedError)
        log.warning("pull_request.failed", reason=type(error).__name__, exc_info=is_unexpected)
        message = f"The branch {result.head_branch} is pushed, but has no pull request: {failure.message}"
        await emit(progress_entry("pull_request", message))
        return PullRequestResult(error=message)
    if pull_request is not None:
        await emit(progress_entry("pull_request", f"Pull request: {pull_request.url}"))
    return PullRequestResult(pull_request)


async def _publish(
    github: GitHubClient,
    access: GitHubAccess,
    sessions: SessionFactory,
    subject: PullRequestSubject,
    result: RunResult,
    emit: Emit,
) -> PullRequest | None:
    assert result.head_branch is not None
    assert result.base_branch is not None
    repository, branch, section = subject.repository, result.head_branch, _section(subject, result)
    async with sole_writer(sessions, repository, branch, emit):
        # Also finds the pull request of an earlier try whose answer was lost.
        found = await github.find_pull_request(access, repository, branch)
        if result.head_sha == result.base.sha:  # all work on the branch is that of earlier runs
            return found
        if found is not None:
            body = WORK.replace(found.body, section)
            if body == found.body:
                return found
            return await github.update_pull_request(access, repository, found.number, body=body)
        new = {
            "title": _one_line(subject.title or subject.slug, _TITLE_LENGTH),
            "body": section,
            "head": branch,
            "base": result.base_branch,
        }
        try:
            return await github.create_pull_request(access, repository, {**new, "draft": True})
        except GitHubRefused as error:
            if "draft" not in error.message.lower():
                raise
        # Some GitHub plans have no drafts in private repositories.
        return await github.create_pull_request(access, repository, {**new, "draft": False})


def _section(subject: PullRequestSubject, result: RunResult) -> str:
    summary = result.summary[:_SUMMARY_LENGTH].strip()
    files = [f"- `{_one_line(path, _PATH_LENGTH)}`" for path in result.files_changed[:_MOST_FILES]]
    left_out = len(result.files_changed) - len(files)
    if left_out > 0:
        files.append(f"- and {left_out} more")
    task = f"[{subject.slug}]({subject.task_url})" if subject.task_url else subject.slug
    count = len(result.files_changed)
    parts = [
        summary or "The agent left no summary.",
        f"<details><summary>{count} file{'' if count == 1 else 's'} changed</summary>\n\n"
        + "\n".join(files)
        + "\n</details>",
        f"Made by an agent for the task {task}.",
    ]
    # No text may contain the mark that ends the section.
    return WORK.wrap("\n" + "\n\n".join(part.replace("<!--", "&lt;!--") for part in parts) + "\n")


def _one_line(text: str, limit: int) -> str:
    line = " ".join(text.replace("`", "'").split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
