"""The kinds of callers that the contract distinguishes, each with a real user and a real key."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import Scope
from app.models import Organization, Project, User
from tests.support.factories import make_key, make_organization, make_project, make_user


class CallerKind(StrEnum):
    """A kind of caller, by its relation to the project of the request."""

    OWNER = "owner"
    MEMBER = "member"
    OUTSIDER = "outsider"
    STAFF = "staff"
    READ_ONLY = "read_only"
    NO_SCOPES = "no_scopes"
    REVOKED = "revoked"
    INACTIVE = "inactive"
    OTHER_PROJECT_KEY = "other_project_key"
    OTHER_ORGANIZATION_KEY = "other_organization_key"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller of the API and its headers of authentication; `user` is None only for an anonymous caller."""

    kind: CallerKind
    user: User | None
    headers: dict[str, str]

    @property
    def user_id(self) -> int:
        assert self.user is not None
        return self.user.id


@dataclass(frozen=True, slots=True)
class Cast:
    """A project with its people, and those callers that a test has asked for."""

    organization: Organization
    project: Project
    owner: User
    callers: dict[CallerKind, Caller] = field(default_factory=dict)


def bearer(key: str) -> dict[str, str]:
    """Return the `Authorization` header with this API key."""
    return {"Authorization": f"Bearer {key}"}


async def make_cast(session: AsyncSession) -> Cast:
    """Make a project and its owner; the slugs of the project's tasks begin with TES."""
    organization = await make_organization(session)
    project = await make_project(session, organization=organization, name="Test Team")
    owner = await make_user(session, projects=[project], first_name="Olga")
    return Cast(organization, project, owner)


async def make_caller(session: AsyncSession, kind: CallerKind, *, project: Project, owner: User) -> Caller:
    """Make a caller of this kind; kinds that differ by their API key alone are the owner with another key."""
    if kind is CallerKind.ANONYMOUS:
        return Caller(kind, None, {})
    user = await _make_user(session, kind, project=project, owner=owner)
    options = await _key_options(session, kind)
    # Used before, so that no test pays for noting the first use.
    key = await make_key(session, user=user, last_used_at=utcnow(), **options)
    return Caller(kind, user, bearer(key))


async def _make_user(session: AsyncSession, kind: CallerKind, *, project: Project, owner: User) -> User:
    match kind:
        case CallerKind.MEMBER:
            return await make_user(session, projects=[project])
        case CallerKind.OUTSIDER:
            return await make_user(session, projects=[await make_project(session, name="Elsewhere")])
        case CallerKind.STAFF:
            return await make_user(session, projects=[project], is_staff=True)
        case CallerKind.INACTIVE:
            return await make_user(session, projects=[project], is_active=False)
        case _:
            return owner


async def _key_options(session: AsyncSession, kind: CallerKind) -> dict[str, Any]:
    match kind:
        case CallerKind.READ_ONLY:
            return {"scopes": [Scope.TASK_READ, Scope.USER_READ, Scope.PROJECT_READ]}
        case CallerKind.NO_SCOPES:
            return {"scopes": []}
        case CallerKind.REVOKED:
            return {"revoked_at": utcnow()}
        case CallerKind.OTHER_PROJECT_KEY:
            return {"projects": [(await make_project(session, name="Elsewhere")).id]}
        case CallerKind.OTHER_ORGANIZATION_KEY:
            return {"organizations": [(await make_organization(session, name="Elsewhere")).id]}
        case _:
            return {}
