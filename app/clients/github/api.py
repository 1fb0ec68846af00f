"""The protocol for operations on a GitHub host, and their errors.

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
    """Base class: a request to a GitHub host that did not succeed."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class GitHubUnavailable(GitHubError):
    """The GitHub host is unavailable or limits the rate.

    Try again, after `retry_after` seconds if that is not None.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class GitHubDenied(GitHubError):
    """The GitHub host refuses the credential, or it lacks a permission."""


class GitHubMissing(GitHubError):
    """The repository, pull request or installation does not exist, or the credential cannot see it."""


class GitHubRefused(GitHubError):
    """The GitHub host refuses the request because of its content."""


@dataclass(frozen=True, slots=True)
class GitHubAccess:
    """Access to a GitHub host: the URL of its API, and a token."""

    api_url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class InstallationToken:
    """An access token of a GitHub App's installation, with its expiry."""

    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request as the GitHub host reports it."""

    number: int
    url: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPullRequest:
    """A pull request to open; the fields have the names of GitHub's API."""

    title: str
    body: str
    head: str
    base: str
    draft: bool = True


class GitHub(Protocol):
    """Operations on a host with GitHub's REST API.

    Each may raise a GitHubError; `repository` is `owner/name`.
    """

    async def create_installation_token(
        self, api_url: str, *, app_id: str, installation_id: str, private_key: str
    ) -> InstallationToken:
        """Return a new token of a GitHub App's installation, valid for an hour.

        `private_key` is the App's, as PEM.
        """
        ...

    async def find_pull_request(
        self, access: GitHubAccess, repository: str, branch: str
    ) -> PullRequest | None:
        """Return the open pull request from a branch of the repository, not of a fork.

        None if there is none.
        """
        ...

    async def create_pull_request(
        self, access: GitHubAccess, repository: str, wanted: NewPullRequest
    ) -> PullRequest:
        """Open a pull request. Raises GitHubRefused if one from that branch exists."""
        ...

    async def update_pull_request(
        self, access: GitHubAccess, repository: str, number: int, *, body: str
    ) -> PullRequest:
        """Replace the description of a pull request."""
        ...
