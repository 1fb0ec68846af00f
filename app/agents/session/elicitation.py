"""The client's side of ACP elicitation: an agent asks people to fill a form, or to open a page."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from acp.schema import (
    AcceptElicitationResponse,
    CancelElicitationResponse,
    CreateElicitationResponse,
    DeclineElicitationResponse,
    ElicitationMode,
)

from app.agents.session.transport import REQUEST, Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Elicitation:
    """A request of an agent to people: to fill a form of a schema, or to open a page by its URL.

    `id` is the agent's id of the page, if it is one.
    """

    message: str
    tool_call_id: str | None = None
    schema: Message | None = None
    url: str | None = None
    id: str | None = None
    request: str = ""  # the id by which the agent withdraws it


@dataclass(frozen=True, slots=True)
class ElicitationAnswer:
    """The answer to an elicitation. `accept` of a page opens it; `content` holds the values of an accepted form."""

    action: Literal["accept", "decline", "cancel"]
    content: Message | None = None


class Elicited(Protocol):
    """Presents the elicitations of an agent to people."""

    async def elicit(self, elicitation: Elicitation) -> ElicitationAnswer:
        """Return the answer of a person; without one, `decline` or `cancel`."""

    async def complete(self, elicitation_id: str) -> None:
        """Close the question about a page, because the agent reports that the person is done with it."""

    def take_back(self, request: str) -> None:
        """Withdraw the question of a request: the agent does not wait for the answer any more."""


class ElicitationClient:
    """Answers an agent's elicitations."""

    def __init__(self, people: Elicited, *, before_question: Callable[[], Awaitable[None]]) -> None:
        self._people = people
        self._before_question = before_question

    async def create_elicitation(
        self, message: str, mode: ElicitationMode, **meta: Any
    ) -> CreateElicitationResponse:
        """Return the response to the protocol's `elicitation/create`, once a person has acted."""
        sent = mode.model_dump(mode="json", by_alias=True, exclude_none=True)
        # The agent's text so far comes before the question in the log.
        await self._before_question()
        answer = await self._people.elicit(
            Elicitation(
                message=message,
                tool_call_id=sent.get("toolCallId"),
                schema=sent.get("requestedSchema"),
                url=sent.get("url"),
                id=sent.get("elicitationId"),
                request=meta.get(REQUEST, ""),
            )
        )
        match answer.action:
            case "accept":
                return AcceptElicitationResponse(action="accept", content=answer.content)
            case "decline":
                return DeclineElicitationResponse(action="decline")
            case "cancel":
                return CancelElicitationResponse(action="cancel")

    async def complete_elicitation(self, elicitation_id: str, **_meta: Any) -> None:
        """Close the question about a page, because the agent reports that the person is done with it."""
        await self._people.complete(elicitation_id)
