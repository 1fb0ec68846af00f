"""The operations on a GitHub host, and their errors.

GitHubError            `message` is a sentence for people, without any secret
├── GitHubUnavailable  no answer, a fault of the host, or a rate limit: the same request may work later
├── GitHubDenied       the credential is refused, or lacks a permission
├── GitHubMissing      no such repository, pull request or installation, or not for this credential
└── GitHubRefused      the host refuses the request itself
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


class GitHubError(Exception):
    """A request that did not succeed."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class GitHubUnavailable(GitHubError):
    """The same request may work later: after `retry_after` seconds, if the host asks for a delay."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class GitHubDenied(GitHubError):
    """The credential is refused, or lacks a permission."""


class GitHubMissing(GitHubError):
    """The repository, pull request or installation does not exist, or not for this credential."""


class GitHubRefused(GitHubError):
    """The host refuses the request itself."""


@dataclass(frozen=True, slots=True)
class GitHubAccess:
    """The URL of a host's API, and the token."""

    api_url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class InstallationToken:
    """A token of an App installation."""

    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request as it is on the host."""

    number: int
    url: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPullRequest:
    """A pull request to open."""

    title: str
    body: str
    head: str
    base: str
    draft: bool = True


class GitHub(Protocol):
    """A host that speaks GitHub's REST API. Every method raises a GitHubError; `repository` is `owner/name`."""

    async def create_installation_token(
        self, api_url: str, *, app_id: str, installation_id: str, private_key: str
    ) -> InstallationToken:
        """Return a new token of an installation, valid for an hour; `private_key` is the App's, in PEM form."""
        ...

    async def find_pull_request(
        self, access: GitHubAccess, repository: str, branch: str
    ) -> PullRequest | None:
        """Return the open pull request from this branch of the repository itself, None if there is none."""
        ...

    async def create_pull_request(
        self, access: GitHubAccess, repository: str, wanted: NewPullRequest
    ) -> PullRequest:
        """Open a pull request. Raises GitHubRefused if one from that branch exists."""
        ...

    async def update_pull_request(
        self, access: GitHubAccess, repository: str, number: int, *, body: str
    ) -> PullRequest:
        """Replace the text of a pull request."""
        ...
