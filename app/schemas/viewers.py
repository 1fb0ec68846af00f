"""The published form of people who look at tasks now (contract 17.10)."""

from typing import Annotated
from uuid import UUID

from typing_extensions import TypedDict

from app.schemas.base import doc
from app.schemas.users import UserBasic


class ViewerOut(TypedDict):
    """A user who looks at a task now, on a device that shows the task in focus."""

    task: Annotated[UUID, doc("The task.")]
    user: Annotated[UserBasic, doc("The user who looks at the task.")]


class ViewersOut(TypedDict):
    """The users who look at tasks of a project now. The one with the latest report of a device is first."""

    results: list[ViewerOut]
