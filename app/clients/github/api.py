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
    """Base class: a request to a GitHub host failed. `message` is a sentence for people, without secrets."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class GitHubUnavailable(GitHubError):
    """The GitHub host did not answer, had a fault, or limits the rate. The same request may work later."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class GitHubDenied(GitHubError):
    """The GitHub host refuses the credential, or the credential lacks a permission."""


class GitHubMissing(GitHubError):
    """The repository, pull request or installation does not exist, or the credential cannot see it."""


class GitHubRefused(GitHubError):
    """The GitHub host refuses the request because of its content."""


@dataclass(frozen=True, slots=True)
class GitHubAccess:
    """The URL of a GitHub host's API, and the token for requests to it."""

    api_url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class InstallationToken:
    """An access token of a GitHub App for one installation of the App. It expires at `expires_at`, in UTC."""

    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request as the GitHub host reports it. `url` is its web page, `body` its description."""

    number: int
    url: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPullRequest:
    """A pull request to create.

    The fields have the names of GitHub's API: `head` is the branch to merge into `base`.
    """

    title: str
    body: str
    head: str
    base: str
    draft: bool = True


class GitHub(Protocol):
    """The interface to GitHub hosts, which `GitHubClient` implements. Each operation may raise a GitHubError."""

    async def create_installation_token(
        self, api_url: str, *, app_id: str, installation_id: str, private_key: str
    ) -> InstallationToken:
        """Create and return an access token for an installation of a GitHub App, whose private key is given as PEM."""
        ...

    async def find_pull_request(
        self, access: GitHubAccess, repository: str, branch: str
    ) -> PullRequest | None:
        """Return the open pull request from this branch of the repository, or None if there is none."""
        ...

    async def create_pull_request(
        self, access: GitHubAccess, repository: str, wanted: NewPullRequest
    ) -> PullRequest:
        """Create a pull request and return it."""
        ...

    async def update_pull_request(
        self, access: GitHubAccess, repository: str, number: int, *, body: str
    ) -> PullRequest:
        """Replace the description of a pull request with `body`, and return the pull request."""
        ...
