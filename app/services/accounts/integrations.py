"""Add the integrations and signal reports that tasks may refer to, for operators (contract 11, 24)."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import CodeHostKind
from app.errors import InvalidInput, unknown_choice
from app.ids import new_id
from app.models import Integration, SignalReport, UserIntegration
from app.security.secrets import Cipher
from app.services.accounts.account_fields import (
    clean_app_number,
    clean_label,
    clean_private_key,
    clean_token,
    clean_url,
)
from app.services.accounts.administration import require_projects, require_user

_TITLE_LENGTH = 255
_API_SCHEMES = frozenset({"http", "https"})
_GIT_SCHEMES = frozenset({"http", "https", "file"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AppInstallation:
    app_id: str
    installation_id: str
    private_key: str  # PEM


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIntegration:
    kind: str  # a value of `CodeHostKind`
    # The credential: a token, or a GitHub App.
    token: str | None = None
    installation: AppInstallation | None = None
    # The key with which the host signs its webhooks.
    webhook_secret: str | None = None
    # Base URL of the host's API; None: the public API, or the API at the host of `git_url`.
    api_url: str | None = None
    # Base URL of repositories; None: `GIT_BASE_URL`.
    git_url: str | None = None


async def create_integration(
    session: AsyncSession, cipher: Cipher, *, project_id: int, new: NewIntegration
) -> Integration:
    if new.token is not None and new.installation is not None:
        raise InvalidInput("Give a token or an App installation, not both.", attr="token")
    integration = Integration(
        project_id=project_id,
        kind=_known_kind(new.kind),
        encrypted_token=_encrypt(cipher, new.token),
        **_installation_columns(cipher, new.installation),
        encrypted_webhook_secret=_encrypt(cipher, new.webhook_secret, attr="webhook_secret"),
        api_url=None if new.api_url is None else clean_url(new.api_url, attr="api_url", schemes=_API_SCHEMES),
        git_url=None if new.git_url is None else clean_url(new.git_url, attr="git_url", schemes=_GIT_SCHEMES),
        created_at=utcnow(),
    )
    await require_projects(session, [project_id])
    session.add(integration)
    await session.flush()
    return integration


async def create_user_integration(
    session: AsyncSession, cipher: Cipher, *, user_id: int, kind: str, token: str | None = None
) -> UserIntegration:
    """Add a user's own access to a code host, and return it. Runs cannot use it without a token."""
    integration = UserIntegration(
        id=new_id(),
        user_id=user_id,
        kind=_known_kind(kind),
        encrypted_token=_encrypt(cipher, token),
        created_at=utcnow(),
    )
    await require_user(session, user_id)
    session.add(integration)
    await session.flush()
    return integration


async def create_signal_report(session: AsyncSession, *, project_id: int, title: str = "") -> SignalReport:
    """Add a signal report and return it: a titled record in a project that new tasks can name as their origin."""
    report = SignalReport(
        id=new_id(),
        project_id=project_id,
        title=clean_label(title, attr="title", limit=_TITLE_LENGTH),
        created_at=utcnow(),
    )
    await require_projects(session, [project_id])
    session.add(report)
    await session.flush()
    return report


def _known_kind(kind: str) -> CodeHostKind:
    try:
        return CodeHostKind(kind)
    except ValueError as error:
        raise unknown_choice(kind, CodeHostKind, attr="kind") from error


def _encrypt(cipher: Cipher, token: str | None, *, attr: str = "token") -> str | None:
    return None if token is None else cipher.encrypt(clean_token(token, attr=attr))


def _installation_columns(cipher: Cipher, installation: AppInstallation | None) -> dict[str, str]:
    if installation is None:
        return {}
    return {
        "app_id": clean_app_number(installation.app_id, attr="app_id"),
        "installation_id": clean_app_number(installation.installation_id, attr="installation_id"),
        "encrypted_private_key": cipher.encrypt(clean_private_key(installation.private_key)),
    }
