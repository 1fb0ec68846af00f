"""The JSON of users and organizations in responses (contract 3.2, 6.6), and of API keys (19.7)."""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from app.enums import Scope
from app.json_types import JsonDict
from app.schemas.base import Input, doc
from app.schemas.fields import Choice, Integer, Items, Text
from app.schemas.projects import ProjectOut


class UserBasic(TypedDict):
    """A user, in the short form that other objects contain."""

    id: int
    uuid: UUID
    distinct_id: Annotated[str, doc("Stable identifier in analytics.", "f0a1b2c3d4e5")]
    first_name: Annotated[str, Field(examples=["Ada"])]
    last_name: Annotated[str, Field(examples=["Example"])]
    email: Annotated[str, Field(examples=["ada@example.com"])]
    is_email_verified: bool | None
    hedgehog_config: Annotated[JsonDict | None, doc("The appearance of the user's avatar.")]
    role_at_organization: Annotated[str | None, doc("The user's role, in the user's own words.")]


class OrganizationOut(TypedDict):
    """An organization that owns a project of the caller."""

    id: UUID
    name: Annotated[str, Field(examples=["Test Organization"])]


class UserOut(UserBasic):
    """The user that the caller's API key belongs to, with their current project and organizations."""

    is_staff: Annotated[bool, doc("Whether the user operates this service.", False)]
    date_joined: datetime
    team: Annotated[ProjectOut | None, doc("The current project (`@current`).")]
    organization: Annotated[OrganizationOut | None, doc("The organization of that project.")]
    organizations: Annotated[list[OrganizationOut], doc("All organizations of the caller's projects.")]


class OwnKeyIn(Input):
    """A new key. It can do no more than the one of the request."""

    examples: ClassVar = {
        "A key that reads": {"label": "Reader", "scopes": ["task:read"], "expires_in_days": 90}
    }

    label: Annotated[str, Text(max_length=40), doc("What it is for.", "Reader")]
    scopes: Annotated[
        list[Annotated[Scope, Choice(of=Scope, named=True)]],
        Items(max_length=len(Scope), empty=False),
        doc("What it allows."),
    ]
    expires_in_days: Annotated[
        int | None,
        Integer(minimum=1, maximum=3650, null=True),
        doc("Null: it expires with the key of the request."),
    ] = None


class OwnKeyOut(TypedDict):
    """A key of the caller's user, without its value."""

    id: UUID
    label: Annotated[str, doc("What it is for.", "Reader")]
    mask: Annotated[str, doc("The end of its value.", "phx_...1234")]
    scopes: Annotated[list[str], doc("What it allows.", ["task:read"])]
    scoped_teams: Annotated[list[int], doc("The only projects that it is valid for; empty for all.")]
    scoped_organizations: Annotated[list[UUID], doc("The only organizations that it is valid for.")]
    created_at: datetime
    last_used_at: Annotated[datetime | None, doc("Updated at most once an hour.")]
    expires_at: datetime | None
    current: Annotated[bool, doc("Whether this request was sent with it.")]


class NewOwnKeyOut(OwnKeyOut):
    """A new key with its value."""

    value: Annotated[str, doc("The key itself; no later answer has it.", "phx_…")]


class OwnKeysOut(TypedDict):
    """The keys of the caller's user that are not revoked, the newest first."""

    results: list[OwnKeyOut]
