"""Callers for tests of service functions."""

from app.enums import Scope
from app.ids import new_id
from app.models import Project, User
from app.services.access.principal import Principal, ProjectRef


def member_of(project: Project, user: User) -> Principal:
    """Return the user as a caller with a key for everything, in this project."""
    return Principal(
        user_id=user.id,
        is_staff=False,
        key_id=new_id(),
        scopes=frozenset({Scope.ANY}),
        scoped_teams=(),
        scoped_organizations=(),
        named_project=ProjectRef(project.id, project.organization_id, project.name),
        is_member=True,
    )
