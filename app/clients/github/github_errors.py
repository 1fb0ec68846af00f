"""Errors of requests to a GitHub host."""


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


class GitHubRefused(GitHubError):
    """The GitHub host refuses the request for its credential, its subject or its content."""
