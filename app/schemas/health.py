"""Bodies about the health of the service, for its operators."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict


class LivenessOut(TypedDict):
    """The answer of the liveness probe: the process responds; no server was asked."""

    status: Literal["ok"]


class ReadinessOut(TypedDict):
    """The readiness of each server that the service depends on: "ok", or the problem."""

    status: Literal["ok", "unavailable"]
    database: Annotated[
        str, Field(description="PostgreSQL, with the schema of this release.", examples=["ok"])
    ]
    redis: Annotated[str, Field(description="Redis or Valkey.", examples=["ok"])]
    object_store: Annotated[str, Field(description="The S3 bucket.", examples=["ok"])]
