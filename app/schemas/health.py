"""How the service speaks of its own health, for those who operate it."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict


class LivenessOut(TypedDict):
    """The process answers."""

    status: Literal["ok"]


class ReadinessOut(TypedDict):
    """Whether each part that the service depends on is ready: "ok", or what is wrong with it."""

    status: Literal["ok", "unavailable"]
    database: Annotated[
        str, Field(description="PostgreSQL, and whether its schema is that of this release.", examples=["ok"])
    ]
    redis: Annotated[str, Field(description="Redis or Valkey.", examples=["ok"])]
    object_store: Annotated[str, Field(description="The S3 bucket.", examples=["ok"])]
