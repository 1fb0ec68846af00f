"""The tool `notify_user`: its description and arguments, and the agent's answer (contract 16.13)."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.agents.tools.arguments import WrongArguments, describe, in_one_line, read
from app.dialogue.agent_reports import AgentMessage, MessageOutcome
from app.enums import Urgency

NAME = "notify_user"
TITLE_CHARACTERS = 80
MESSAGE_CHARACTERS = 178
_DESCRIPTION = (
    "Send a short push message to the person of this task. Use it rarely, for what they would want to know before you "
    "are done. It does not pause your work, and they cannot answer it. The result says what became of the message: "
    "`sent` to so many devices, or another decision with its reason. At most five messages a run, one a minute."
)


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    title: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=TITLE_CHARACTERS)
    ] = Field(description="What it is about.")
    message: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MESSAGE_CHARACTERS)
    ] = Field(description="What you want to say. Plain text, no secrets.")
    urgency: Literal["low", "normal"] = Field("low", description="`normal` makes a sound.")


NotifyUser = Callable[[AgentMessage], Awaitable[MessageOutcome]]  # raises AgentStopped once the run is lost


_ANSWER = {"decision": "string", "devices": "integer", "reason": "string"}
TOOL = describe(NAME, "Notify the user", _DESCRIPTION, _Arguments, _ANSWER)


def read_arguments(arguments: object, mask: Callable[[str], str]) -> AgentMessage:
    """Return the message, masked, in lines without invisible characters. Raises WrongArguments."""
    fields = read(_Arguments, arguments)
    title, message = (in_one_line(text, mask) for text in (fields.title, fields.message))
    if not (title and message):
        raise WrongArguments("title and message must have characters that can be seen")
    return AgentMessage(title=title, message=message, urgency=Urgency(fields.urgency))
