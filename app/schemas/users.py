"""Users and projects as they are shown (contract 3.2, 6.6, 6.7)."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

__all__ = ["OrganizationOut", "ProjectOut", "ProjectPage", "UserBasic", "UserOut"]


class UserBasic(TypedDict):
    """A user as part of something else."""

    id: int
    uuid: UUID
    distinct_id: Annotated[str, Field(description="Stable identifier in analytics.")]
    first_name: str
    last_name: str
    email: str
    is_email_verified: bool | None
    hedgehog_config: dict[str, Any] | None
    role_at_organization: str | None


class OrganizationOut(TypedDict):
    """An organization the caller belongs to through a project."""

    id: UUID
    name: str


class ProjectOut(TypedDict):
    """A project the caller may use."""

    id: int
    uuid: UUID
    organization: Annotated[UUID, Field(description="The organization that owns it.")]
    project_id: int
    api_token: Annotated[str, Field(description="Public token of the project; not a credential.")]
    name: str
    timezone: str


class ProjectPage(TypedDict):
    """A page of projects."""

    count: int
    next: str | None
    previous: str | None
    results: list[ProjectOut]


class UserOut(TypedDict):
    """The caller."""

    id: int
    uuid: UUID
    distinct_id: str
    first_name: str
    last_name: str
    email: str
    is_staff: bool
    is_email_verified: bool | None
    date_joined: datetime
    hedgehog_config: dict[str, Any] | None
    role_at_organization: str | None
    team: Annotated[ProjectOut | None, Field(description="The current project, what `@current` stands for.")]
    organization: Annotated[OrganizationOut | None, Field(description="The organization of that project.")]
    organizations: list[OrganizationOut]
