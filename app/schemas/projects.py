"""The JSON of projects, their limits and their queue in responses (contract 6.7, 19.8, 20)."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from app.schemas.base import ListPage, doc

LimitUnit = Literal["seconds", "bytes", "requests_per_minute", "requests_per_hour", "tokens", "usd", "count"]


class ProjectOut(TypedDict):
    """A project that the caller may use."""

    id: Annotated[int, doc("The project's id in the paths of its tasks.")]
    uuid: UUID
    organization: Annotated[UUID, doc("The organization that owns it.")]
    project_id: Annotated[int, doc("The same as `id`.")]
    api_token: Annotated[str, doc("Public token of the project; not a credential.", "phc_8s7d6f5g4h3j2k1l")]
    name: Annotated[str, doc("Its first letters begin the slugs of its tasks.", "Test Team")]
    timezone: Annotated[str, Field(examples=["UTC"])]


class ProjectPage(ListPage):
    """A page of projects that the caller may use."""

    results: list[ProjectOut]


class LimitOut(TypedDict):
    """A limit of this service."""

    id: Annotated[str, doc("Its name for programs.", "run_seconds")]
    value: Annotated[float | None, doc("The limit; null if there is none.", 14400)]
    unit: LimitUnit


class LimitsOut(TypedDict):
    """The limits that hold in a project."""

    results: list[LimitOut]


class QueueOut(TypedDict):
    """How many runs of a project wait for a worker, and what workers offer."""

    queued: Annotated[int, doc("Runs of the project that wait for a worker.", 12)]
    oldest_queued_seconds: Annotated[
        float, doc("How long the one that has waited longest has waited; 0 if none waits.", 41.5)
    ]
    active: Annotated[int, doc("Runs of the project that workers perform now.", 4)]
    limit: Annotated[int | None, doc("The most of them at a time; null if there is no limit.", 8)]
    waits_for: Annotated[
        Literal["worker", "slot", "turn", "limit"] | None,
        doc(
            "What they wait for: any worker, a free slot, their turn behind other projects, or the end of another run "
            "of the project; null: not known."
        ),
    ]
    workers: Annotated[int | None, doc("Workers that reported in the last minute; null: not known.", 2)]
    slots: Annotated[int | None, doc("Runs that they perform at a time, for all projects; null likewise.", 8)]
