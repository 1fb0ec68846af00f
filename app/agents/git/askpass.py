"""Lends a credential to one git command, through an open file in memory that has no path.

It is gone with git and its children, also after kill -9, and is in no argument, environment, configuration or URL.
Not for a git in a sandbox.
"""

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_PROGRAM = Path(__file__).with_name("askpass.sh")


@dataclass(frozen=True, slots=True)
class Credential:
    """The user name and password that git sends to a code host; both are single lines."""

    user: str = field(repr=False)
    password: str = field(repr=False)


# Returns a credential that is valid now. Raises RepositoryError.
CredentialSource = Callable[[], Awaitable[Credential | None]]


@dataclass(frozen=True, slots=True)
class LentCredential:
    """The environment variables and open file descriptors through which one git process receives a credential."""

    variables: Mapping[str, str]
    descriptors: tuple[int, ...] = ()


NOTHING_LENT = LentCredential({})


@contextmanager
def lend(credential: Credential, origin: str) -> Iterator[LentCredential]:
    """Yield variables and file descriptors that give one git process a credential, for the server `origin` alone."""
    descriptor = os.memfd_create("taskbeacon-credential")
    try:
        lines = (origin, credential.user, credential.password)
        os.write(descriptor, "".join(f"{line}\n" for line in lines).encode())
        yield LentCredential(
            {"GIT_ASKPASS": str(_PROGRAM), "TASKBEACON_ASKPASS_FD": str(descriptor)}, (descriptor,)
        )
    finally:
        os.close(descriptor)
