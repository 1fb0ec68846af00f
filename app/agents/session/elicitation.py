"""Answers an agent's elicitations (ACP): it asks people to fill a form, or to open a page."""

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
    """A request that people fill a form (`schema`, a JSON schema) or open a page (`url`, with the agent's `id`)."""

    message: str
    tool_call_id: str | None = None
    schema: Message | None = None
    url: str | None = None
    id: str | None = None
    request: str = ""  # the id by which the agent withdraws it


@dataclass(frozen=True, slots=True)
class ElicitationAnswer:
    """A person's answer to a form or page: `content` has the values; `accept` of a page says that it was opened."""

    action: Literal["accept", "decline", "cancel"]
    content: Message | None = None


class Elicited(Protocol):
    """The interface through which an agent's forms and web pages are shown to people."""

    async def elicit(self, elicitation: Elicitation) -> ElicitationAnswer:
        """Show a form or page to people, and return their answer, which is `decline` if none came in time."""

    async def complete(self, elicitation_id: str) -> None:
        """Close the question about this page: the agent reports that the person has finished there."""

    def withdraw(self, request: str) -> None:
        """Close the question of this request: the agent does not wait for its answer any more."""


class ElicitationClient:
    """Handles an agent's requests `elicitation/...`: asks people, and returns their answer."""

    def __init__(self, people: Elicited, *, before_question: Callable[[], Awaitable[None]]) -> None:
        self._people = people
        self._before_question = before_question

    async def create_elicitation(
        self, message: str, mode: ElicitationMode, **meta: Any
    ) -> CreateElicitationResponse:
        """Show a form or web page to people, wait for the answer and return it in the protocol's format."""
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
        """Close the question about this page: the agent reports that the person has finished there."""
        await self._people.complete(elicitation_id)
