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
    """What an agent asks for: a form by its schema, or a page by its URL and the agent's id of it."""

    message: str
    tool_call_id: str | None = None
    schema: Message | None = None
    url: str | None = None
    id: str | None = None
    request: str = ""  # by which the agent takes it back


@dataclass(frozen=True, slots=True)
class ElicitationAnswer:
    """What people did: `accept` of a page means that they open it; `content` belongs to an accepted form."""

    action: Literal["accept", "decline", "cancel"]
    content: Message | None = None


class Elicited(Protocol):
    """Asks people on behalf of an agent."""

    async def elicit(self, elicitation: Elicitation) -> ElicitationAnswer:
        """Return what people did."""

    async def complete(self, elicitation_id: str) -> None:
        """Note that what a page was to be opened for has happened."""

    def take_back(self, request: str) -> None:
        """Note that the agent does not wait for an answer to a request any more."""


class ElicitationClient:
    """Answers an agent's elicitations."""

    def __init__(self, people: Elicited, *, before_question: Callable[[], Awaitable[None]]) -> None:
        self._people = people
        self._before_question = before_question

    async def create_elicitation(
        self, message: str, mode: ElicitationMode, **meta: Any
    ) -> CreateElicitationResponse:
        """Return what people did."""
        sent = mode.model_dump(mode="json", by_alias=True, exclude_none=True)
        # What the agent said up to here belongs before the question.
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
        """Note that what a page was to be opened for has happened."""
        await self._people.complete(elicitation_id)
