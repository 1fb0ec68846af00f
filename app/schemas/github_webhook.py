"""The response to a code host that reports an event."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict


class WebhookOut(TypedDict):
    """The consequence of an event of a code host: a run that was started, or none, with the reason."""

    status: Annotated[
        Literal["started", "ignored"], Field(description="`started`: a run to correct a failed check.")
    ]
    reason: Annotated[str, Field(description="The reason.", examples=["No run pushed this commit."])]
    run: Annotated[UUID | None, Field(description="The run that was started.")]
