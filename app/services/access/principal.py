"""The authenticated caller, and the projects that their key permits."""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from app.enums import AnswerVia
from app.errors import NotFound, PermissionDenied

# In a path: the user's current project.
CURRENT_PROJECT = "@current"


class ProjectRef(NamedTuple):
    id: int
    organization_id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller of a request: a user, identified by an API key, a console session or an action token."""

    user_id: int
    is_staff: bool
    # None for an action token.
    key_id: UUID | None
    scopes: frozenset[str]
    scoped_teams: tuple[int, ...]
    scoped_organizations: tuple[UUID, ...]
    # The project that the request names, if it names one, and whether the caller is a member of it.
    named_project: ProjectRef | None
    is_member: bool
    # The console session of the request; None if it came with the key itself.
    session_id: UUID | None = None

    @property
    def project(self) -> ProjectRef:
        """The project that the request names. Use it only in requests that passed `require_project`."""
        assert self.named_project is not None
        return self.named_project

    def covers(self, project_id: int, organization_id: UUID) -> bool:
        """Return whether the caller's API key is valid for a project, given with its organization (contract 2.3)."""
        return (not self.scoped_teams or project_id in self.scoped_teams) and (
            not self.scoped_organizations or organization_id in self.scoped_organizations
        )

    @property
    def answers_via(self) -> AnswerVia:
        """The way in which this caller answers questions: `console` with a console session, otherwise `api`."""
        return AnswerVia.API if self.session_id is None else AnswerVia.CONSOLE


def require_project(principal: Principal) -> ProjectRef:
    """Return the project that the request names, if the caller may use it (contract 2.1, 2.3)."""
    project = principal.named_project
    if project is None:
        raise NotFound("Project not found.")
    if not principal.is_member:
        raise PermissionDenied("You don't have access to the project.")
    if principal.scoped_teams and project.id not in principal.scoped_teams:
        raise PermissionDenied(f"API key does not have access to the requested project: ID {project.id}.")
    if principal.scoped_organizations and project.organization_id not in principal.scoped_organizations:
        raise PermissionDenied(
            f"API key does not have access to the requested organization: ID {project.organization_id}."
        )
    return project
