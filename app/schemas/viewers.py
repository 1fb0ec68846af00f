"""The shown form of people who look at tasks (contract 17.10)."""

from typing import Annotated
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from app.schemas.users import UserBasic


class ViewerOut(TypedDict):
    """A person who looks at a task now."""

    task: Annotated[UUID, Field(description="The task.")]
    user: Annotated[UserBasic, Field(description="The person.")]


class ViewersOut(TypedDict):
    """The people who look at tasks of the project now, the latest first."""

    results: list[ViewerOut]
