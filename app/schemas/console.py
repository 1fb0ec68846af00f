"""Bodies that open console sessions, and the published form of these (contract 17)."""

from datetime import datetime
from typing import Annotated, ClassVar, Self
from uuid import UUID

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from app.schemas.base import Input, doc
from app.schemas.fields import Text, fail
from app.schemas.users import UserBasic

_MOST_CHARACTERS = 512
_AMBIGUOUS = fail("invalid_input", "Give exactly one of api_key and code.")


class SignIn(Input):
    """The credential that opens a console session: an API key, or the code of a login link."""

    examples: ClassVar = {
        "With an API key": {"api_key": "phx_…"},
        "With a login link": {"code": "The part of the link after #"},
    }

    api_key: Annotated[
        str | None,
        Text(max_length=_MOST_CHARACTERS, null=True),
        doc("A personal API key; the session has the same rights."),
    ] = None
    code: Annotated[
        str | None,
        Text(max_length=_MOST_CHARACTERS, null=True),
        doc("The part of a login link after `#`. It is valid once, for a minute."),
    ] = None

    @model_validator(mode="after")
    def _require_one(self) -> Self:
        if (self.api_key is None) == (self.code is None):
            raise _AMBIGUOUS
        return self


class SessionProject(TypedDict):
    """A project that a console session may use, as the response about the session shows it."""

    id: Annotated[int, doc("The project's id in the paths of its tasks.")]
    name: Annotated[str, Field(examples=["Test Team"])]
    organization: Annotated[UUID, doc("The organization that owns it.")]


class ConsoleSessionOut(TypedDict):
    """The response about the console session of the browser that sent the request."""

    id: UUID
    user: Annotated[UserBasic, doc("The user of the session's key.")]
    projects: Annotated[list[SessionProject], doc("The projects that the key may use.")]
    scopes: Annotated[list[str], doc("The scopes of the key.", ["*"])]
    created_at: datetime
    expires_at: Annotated[
        datetime, doc("When the session ends at the latest; without use it ends after two weeks.")
    ]


class ConsoleSessionRow(TypedDict):
    """A console session, as the response that lists the caller's console sessions shows it."""

    id: UUID
    created_at: datetime
    last_used_at: Annotated[datetime, doc("When the session was last used, updated at most once an hour.")]
    user_agent: Annotated[str, doc("The `User-Agent` of the browser that signed in.", "Mozilla/5.0")]
    address: Annotated[
        str, doc("The address that the browser signed in from; for IPv6, its network.", "203.0.113.7")
    ]
    current: Annotated[bool, doc("Whether this request was sent with the session.")]


class ConsoleSessionList(TypedDict):
    """The caller's console sessions, the most recently used first."""

    results: list[ConsoleSessionRow]
