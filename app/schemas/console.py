"""Bodies that sign browsers (contract 17) and terminals (contract 21, by the names of RFC 8628) in."""

from datetime import datetime
from typing import Annotated, ClassVar, Self
from uuid import UUID

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from app.ids import MAX_BIGINT
from app.schemas.base import Input, doc
from app.schemas.fields import Integer, Text, fail
from app.schemas.users import UserBasic

_MOST_CHARACTERS = 512
_CLIENT_CHARACTERS = 80


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
            raise fail("invalid_input", "Give exactly one of api_key and code.")
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


class TerminalLoginIn(Input):
    """A terminal that asks for a key."""

    examples: ClassVar = {"A laptop": {"client": "ada@laptop"}}

    client: Annotated[
        str, Text(max_length=_CLIENT_CHARACTERS), doc("What asks; the person who confirms sees it.")
    ]


class TerminalLoginOut(TypedDict):
    """The codes of a sign-in. `device_code` is the terminal's own; a person types `user_code`."""

    device_code: Annotated[str, doc("Asks for the key; never shown to anybody.")]
    user_code: Annotated[str, doc("What a person types at `verification_uri`.", "BCDF-GHJK")]
    verification_uri: Annotated[str, doc("Where.", "https://beacon.example/console/device")]
    expires_in: Annotated[int, doc("Seconds for which the codes are valid.", 600)]
    interval: Annotated[int, doc("Seconds between two questions for the key, at least.", 2)]


class TerminalTokenIn(Input):
    """A question whether the sign-in is confirmed."""

    examples: ClassVar = {"The code of the terminal": {"device_code": "Vt3…"}}

    device_code: Annotated[str, Text(max_length=_MOST_CHARACTERS), doc("As the sign-in answered it.")]


class TerminalUser(TypedDict):
    """The user who confirmed."""

    id: int
    email: Annotated[str, doc("Their address.", "ada@example.com")]


class TerminalTokenOut(TypedDict):
    """The key of a confirmed sign-in."""

    api_key: Annotated[str, doc("The key itself; no later answer has it.", "phx_…")]
    project_id: Annotated[int, doc("The project that the person chose.", 1)]
    user: TerminalUser
    scopes: Annotated[list[str], doc("What the key allows.", ["task:write"])]


class PendingLoginOut(TypedDict):
    """What a person is to confirm."""

    client: Annotated[str, doc("What asks, by its own account.", "ada@laptop")]
    address: Annotated[str, doc("The address that it asks from; for IPv6, its network.", "203.0.113.7")]
    created_at: datetime
    expires_at: datetime
    scopes: Annotated[list[str], doc("What its key would allow.", ["task:write"])]


class ApproveLoginIn(Input):
    """A confirmation."""

    examples: ClassVar = {"A project": {"project_id": 1}}

    project_id: Annotated[
        int,
        Integer(minimum=1, maximum=MAX_BIGINT),
        doc("The project that the terminal works in unless it names another."),
    ]
