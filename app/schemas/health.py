"""Responses of the liveness and readiness probes."""

from typing import Annotated, Literal

from typing_extensions import TypedDict

from app.schemas.base import doc


class LivenessOut(TypedDict):
    """The response of the liveness probe: the process responds; no other server was contacted."""

    status: Literal["ok"]
    version: Annotated[str, doc("The release of the server.", "0.1.0")]


class ReadinessOut(TypedDict):
    """The readiness of each server that the service depends on: "ok", or the problem."""

    status: Literal["ok", "unavailable"]
    database: Annotated[str, doc("PostgreSQL, with the schema of this release.", "ok")]
    redis: Annotated[str, doc("Redis or Valkey.", "ok")]
    object_store: Annotated[str, doc("The S3 bucket.", "ok")]
