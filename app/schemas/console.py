"""Sessions of the console: how one is opened, and how they are shown (contract 17)."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from app.schemas.base import Input
from app.schemas.fields import Text, fail
from app.schemas.users import UserBasic

_MOST_CHARACTERS = 512
_AMBIGUOUS = fail("invalid_input", "Give exactly one of api_key and code.")


class SignIn(Input):
    """The credential that opens a session: an API key, or the code of a login link."""

    api_key: Annotated[
        str | None,
        Text(max_length=_MOST_CHARACTERS, null=True),
        Field(description="A personal API key; the session may do what it may."),
    ] = None
    code: Annotated[
        str | None,
        Text(max_length=_MOST_CHARACTERS, null=True),
        Field(description="What follows `#` in a login link. It can be used once, for a minute."),
    ] = None

    @model_validator(mode="after")
    def _require_one(self) -> Self:
        if (self.api_key is None) == (self.code is None):
            raise _AMBIGUOUS
        return self


class SessionProject(TypedDict):
    """A project that the session may use."""

    id: Annotated[int, Field(description="What stands in the paths of its tasks.")]
    name: Annotated[str, Field(examples=["Test Team"])]
    organization: Annotated[UUID, Field(description="The organization that owns it.")]


class ConsoleSessionOut(TypedDict):
    """The session of this browser."""

    id: UUID
    user: Annotated[UserBasic, Field(description="The user of its key.")]
    projects: Annotated[list[SessionProject], Field(description="Those that the key may use.")]
    scopes: Annotated[list[str], Field(description="Those of the key.", examples=[["*"]])]
    created_at: datetime
    expires_at: Annotated[
        datetime,
        Field(description="When it ends at the latest; two weeks without use end it sooner."),
    ]


class ConsoleSessionRow(TypedDict):
    """One of the caller's sessions."""

    id: UUID
    created_at: datetime
    last_used_at: Annotated[datetime, Field(description="Noted at most hourly.")]
    user_agent: Annotated[str, Field(description="Of the browser that signed in.", examples=["Mozilla/5.0"])]
    address: Annotated[
        str, Field(description="Where it signed in from; an IPv6 network.", examples=["203.0.113.7"])
    ]
    current: Annotated[bool, Field(description="Whether it is the session of this request.")]


class ConsoleSessionList(TypedDict):
    """The caller's sessions, the last used first."""

    results: list[ConsoleSessionRow]
