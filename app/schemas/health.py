"""Responses of the liveness and readiness probes."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict


class LivenessOut(TypedDict):
    """The response of the liveness probe: the process responds; no other server was contacted."""

    status: Literal["ok"]


class ReadinessOut(TypedDict):
    """The readiness of each server that the service depends on: "ok", or the problem."""

    status: Literal["ok", "unavailable"]
    database: Annotated[
        str, Field(description="PostgreSQL, with the schema of this release.", examples=["ok"])
    ]
    redis: Annotated[str, Field(description="Redis or Valkey.", examples=["ok"])]
    object_store: Annotated[str, Field(description="The S3 bucket.", examples=["ok"])]
