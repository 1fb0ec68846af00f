"""The response to a webhook of a code host."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict


class WebhookOut(TypedDict):
    """The result of a webhook that a code host sent: the run that was started, or the reason why none was started."""

    status: Annotated[
        Literal["started", "ignored"], Field(description="`started`: a run to correct a failed check.")
    ]
    reason: Annotated[str, Field(description="The reason.", examples=["No run pushed this commit."])]
    run: Annotated[UUID | None, Field(description="The run that was started.")]
