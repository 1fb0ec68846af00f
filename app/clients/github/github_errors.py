"""Errors of requests to a GitHub host, as a tree.

GitHubError             a request failed; `message` is a sentence for people, without secrets
├── GitHubUnavailable   the host did not answer, had a fault, or limits the rate: the same request may work later
└── GitHubRefused       the host refuses the request for its credential, its subject or its content
"""


class GitHubError(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class GitHubUnavailable(GitHubError):
    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class GitHubRefused(GitHubError):
    pass
