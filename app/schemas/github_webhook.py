"""The response to a webhook of a code host."""

from typing import Annotated, Literal
from uuid import UUID

from typing_extensions import TypedDict

from app.schemas.base import doc


class WebhookOut(TypedDict):
    """The result of a webhook that a code host sent: the run that was started, or the reason why none was started."""

    status: Annotated[Literal["started", "ignored"], doc("`started`: a run to correct a failed check.")]
    reason: Annotated[str, doc("The reason.", "No run pushed this commit.")]
    run: Annotated[UUID | None, doc("The run that was started.")]
