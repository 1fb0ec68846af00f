"""Find the code host of a run's repository and the credential to access it (contract 5.8 step 6, 9.1, 13.3).

    authorship `user`   the token sent with the run, or the linked GitHub account of its person
    otherwise           the task's integration: its token, or a token of its App installation
    no integration      `GIT_BASE_URL`, without a credential

The worker decrypts secrets only when it uses them. Objects that hold secrets leave them out when they are printed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote, urlsplit
from uuid import UUID

from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.errors import RepositoryAccessDenied, RepositoryNotFound, RepositoryUnreachable
from app.agents.git.askpass import Credential
from app.agents.git.git_command import TOKEN_USER
from app.clients.github.github_client import GitHubClient
from app.clients.github.github_errors import GitHubError, GitHubUnavailable
from app.clock import utcnow
from app.db import SessionFactory
from app.db.statements import row_of, rows_of
from app.enums import CodeHostKind, PrAuthorshipMode
from app.models import Integration, Run, RunCredential, Task, UserIntegration
from app.models.runs.run_facts import AUTHORSHIP, CALLER_TOKEN, CREDENTIAL_SOURCE
from app.security.secrets import Cipher, DecryptionError
from app.services.access.visibility import active_member
from app.services.retrying.policies import CODE_HOST
from app.services.retrying.retries import RetryBudget, in_transaction
from app.services.runs.run_authority import frozen_or_current, person_of
from app.services.tasks.task_writing import default_github_integration

# A token must not expire while git uses it.
_MARGIN = timedelta(minutes=10)
_PUBLIC_HOST = "github.com"
_PUBLIC_API = "https://api.github.com"


class _App(NamedTuple):
    app_id: str
    installation_id: str
    encrypted_private_key: str


class _Integration(NamedTuple):
    integration_id: int
    encrypted_token: str | None
    api_url: str | None
    git_url: str | None
    app: _App | None


class _Source(NamedTuple):
    project_id: int
    person_id: int | None
    github_user_integration_id: int | None
    integration: _Integration | None


_OF_INTEGRATION = (
    Integration.id.label("integration_id"),
    Integration.encrypted_token,
    Integration.api_url,
    Integration.git_url,
    Integration.app_id,
    Integration.installation_id,
    Integration.encrypted_private_key,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeHost:
    """The code host of a run's repository, with the encrypted credential of the run, as read from the database."""

    git_url: str
    # None if the host has no API.
    api_url: str | None
    integration_id: int | None = None
    encrypted_token: str | None = field(default=None, repr=False)
    app: _App | None = field(default=None, repr=False)
    # Whether the run was created with a token that is deleted by now.
    token_is_gone: bool = False
    # The owner of a personal credential, and the project of which they must be a member; None if a project owns it.
    person_id: int | None = None
    project_id: int | None = None

    @property
    def is_personal(self) -> bool:
        """Whether the credential belongs to a person. If not, it belongs to the project, or there is none."""
        return self.project_id is not None


async def read_code_host(
    session: AsyncSession, *, git_base_url: str, run_id: UUID, state: Mapping[str, object]
) -> CodeHost:
    """Return the code host of a run's repository, with the encrypted credential that the run is to use, if any."""
    columns = [
        Task.project_id,
        person_of().label("person_id"),
        frozen_or_current(Task.github_user_integration_id),
        *_OF_INTEGRATION,
    ]
    source = select(*columns).join(Run, Run.task_id == Task.id)
    source = source.outerjoin(Integration, Integration.id == frozen_or_current(Task.github_integration_id))
    (row,) = await rows_of(session, source.where(Run.id == run_id), _Source)
    host = _host_of(row.integration, git_base_url)
    if state.get(AUTHORSHIP) != PrAuthorshipMode.USER:
        return host
    if state.get(CREDENTIAL_SOURCE) == CALLER_TOKEN:
        kept = select(RunCredential.encrypted_token).where(RunCredential.run_id == run_id)
        token = await session.scalar(kept)
        is_gone = token is None
    else:
        token, is_gone = await _linked_token(session, row), False
    host = replace(host, app=None, encrypted_token=token, token_is_gone=is_gone)
    return replace(host, person_id=row.person_id, project_id=row.project_id)


async def read_project_host(session: AsyncSession, *, git_base_url: str, project_id: int) -> CodeHost:
    """Return the code host of a project, with the encrypted credential of its first GitHub integration, if any."""
    integration = select(*_OF_INTEGRATION).where(
        Integration.id == default_github_integration(literal(project_id))
    )
    return _host_of(await row_of(session, integration, _Integration), git_base_url)


def _host_of(integration: _Integration | None, git_base_url: str) -> CodeHost:
    if integration is None:
        return CodeHost(git_url=git_base_url, api_url=_api_url(git_base_url))
    git_url = integration.git_url or git_base_url
    return CodeHost(
        git_url=git_url,
        api_url=integration.api_url or _api_url(git_url),
        integration_id=integration.integration_id,
        encrypted_token=integration.encrypted_token,
        app=integration.app,
    )


async def _linked_token(session: AsyncSession, task: _Source) -> str | None:
    token: str | None = await session.scalar(
        select(UserIntegration.encrypted_token)
        .where(
            UserIntegration.user_id == task.person_id,
            active_member(task.person_id, task.project_id),
            UserIntegration.kind == CodeHostKind.GITHUB,
            UserIntegration.encrypted_token.is_not(None),
        )
        .order_by(
            (UserIntegration.id == task.github_user_integration_id).desc().nulls_last(),
            UserIntegration.created_at,
            UserIntegration.id,
        )
        .limit(1)
    )
    return token


def _api_url(git_url: str) -> str | None:
    parts = urlsplit(git_url)
    if parts.scheme not in ("http", "https"):
        return None
    return _PUBLIC_API if parts.hostname == _PUBLIC_HOST else f"{parts.scheme}://{parts.netloc}/api/v3"


def clone_url(base_url: str, repository: str) -> str:
    parts = repository.split("/")
    if any(part.startswith((".", "-")) or part != part.strip() for part in parts):
        raise RepositoryNotFound(f"The repository {repository} does not exist.")
    return f"{base_url.rstrip('/')}/{'/'.join(quote(part) for part in parts)}"


class CodeHosts:
    """The access of a worker process to code hosts. It decrypts credentials and caches tokens of GitHub Apps."""

    def __init__(self, github: GitHubClient, cipher: Cipher) -> None:
        self.github = github
        self._cipher = cipher
        self._kept: dict[tuple[str, str, str], tuple[str, datetime]] = {}

    def decrypt(self, value: str) -> str:
        try:
            return self._cipher.decrypt(value)
        except DecryptionError as error:
            raise RepositoryAccessDenied(
                "The stored GitHub credential cannot be decrypted: the key that it was stored under is missing from "
                "the service's secret keys."
            ) from error

    async def installation_token(self, api_url: str, app: _App) -> str:
        key, now = (api_url, app.app_id, app.installation_id), utcnow()
        token, expires_at = self._kept.get(key, ("", now))
        if token and expires_at - now > _MARGIN:
            return token
        private_key = self.decrypt(app.encrypted_private_key)
        try:
            fresh = await RetryBudget(CODE_HOST).call(
                lambda: self.github.create_installation_token(
                    api_url, app_id=app.app_id, installation_id=app.installation_id, private_key=private_key
                )
            )
        except GitHubUnavailable as error:
            raise RepositoryUnreachable(f"No token for the GitHub App: {error.message}") from error
        except GitHubError as error:
            raise RepositoryAccessDenied(f"No token for the GitHub App: {error.message}") from error
        self._kept = {place: kept for place, kept in self._kept.items() if kept[1] > now}
        self._kept[key] = (fresh.token, fresh.expires_at)
        return fresh.token


@dataclass(frozen=True, slots=True)
class HostAccess:
    """The access of one run to its code host. Tokens of GitHub Apps expire, so each use looks for one."""

    hosts: CodeHosts
    host: CodeHost
    sessions: SessionFactory

    async def token(self) -> str | None:
        """Return the token for the API of the code host; None if the run has no credential."""
        host = self.host
        if host.is_personal and not await in_transaction(self.sessions, self._has_member):
            raise RepositoryAccessDenied(
                "The person whose GitHub account this run acts with is no active member of the project any more. "
                "Start a new run."
            )
        if host.token_is_gone:
            raise RepositoryAccessDenied(
                "The GitHub token that came with this run was used and is forgotten. Start a new run with a token."
            )
        if host.app is not None and host.api_url is not None:
            return await self.hosts.installation_token(host.api_url, host.app)
        return None if host.encrypted_token is None else self.hosts.decrypt(host.encrypted_token)

    async def credential(self) -> Credential | None:
        """Return the credential for git commands; None if the run has no credential."""
        token = await self.token()
        return None if token is None else Credential(TOKEN_USER, token)

    async def _has_member(self, session: AsyncSession) -> bool:
        return bool(await session.scalar(select(active_member(self.host.person_id, self.host.project_id))))
