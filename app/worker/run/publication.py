"""Publishes the work of a run at its code host, as a pull request."""

from dataclasses import dataclass

from app.agents.result import RunResult
from app.agents.session.transcript import Emit
from app.clients.github import GitHubClient
from app.services.code_hosts.credentials import HostAccess
from app.services.code_hosts.pull_requests import PullRequestResult, PullRequestSubject, open_pull_request
from app.services.code_hosts.pushed_branches import PushRecord


@dataclass(frozen=True, slots=True)
class Publication:
    """Publishes the work of a run at its code host as a pull request."""

    access: HostAccess
    subject: PullRequestSubject

    async def publish(
        self, github: GitHubClient, result: RunResult, emit: Emit
    ) -> tuple[PullRequestResult, PushRecord | None]:
        """Create or update the pull request for a run's pushed branch. `emit` writes progress to the run's log.

        Return the pull request or the reason why there is none, and the record of the pushed branch, which the caller
        stores. The record is None if the run pushed no branch. If this is cancelled, the host may have opened the pull
        request all the same.
        """
        opened = await open_pull_request(github, self.access, self.subject, result, emit)
        if not self.subject.repository or result.head_branch is None or result.head_sha is None:
            return opened, None
        return opened, PushRecord(
            repository=self.subject.repository,
            integration_id=self.access.host.integration_id,
            branch=result.head_branch,
            base_branch=result.base_branch,
            head_sha=result.head_sha,
            pull_request=opened.pull_request,
        )
