"""The agents that runs may request, and the limits and the queue of a project (contract 19.6, 19.8, 20)."""

from typing import Annotated, Literal
from uuid import UUID

from typing_extensions import TypedDict

from app.enums import PermissionMode, ReasoningEffort
from app.schemas.base import QueryInput, doc
from app.schemas.fields import Uuid

LimitUnit = Literal["seconds", "bytes", "requests_per_minute", "requests_per_hour", "tokens", "usd", "count"]


class AgentsQuery(QueryInput):
    """The sandbox environment of the run that an agent is chosen for."""

    sandbox_environment_id: Annotated[
        UUID | None, Uuid(null=True), doc("Its variables count as keys of the agents.")
    ] = None


class AgentModelOut(TypedDict):
    """A model of an agent that clients offer to people."""

    name: Annotated[str, doc("The value of `model` for a run.", "claude-opus-4-7")]
    display_name: Annotated[str, doc("For people.", "Claude Opus 4.7")]
    efforts: Annotated[list[ReasoningEffort], doc("In rising order; empty without effort control.")]


class AgentOut(TypedDict):
    """An agent that runs may request."""

    name: Annotated[str, doc("The value of `runtime_adapter` for a run.", "claude")]
    provider: Annotated[str | None, doc("The provider of its models.", "anthropic")]
    available: Annotated[bool, doc("Whether it can be chosen.")]
    reason: Annotated[str | None, doc("Why it cannot be chosen.")]
    installed: Annotated[bool | None, doc("Whether a worker has its program; null while no worker is known.")]
    has_key: Annotated[
        bool | None, doc("Whether there is a key for its models; null while that is not known.")
    ]
    models: Annotated[list[AgentModelOut], doc("The models to offer; runs may request others too.")]
    modes: Annotated[list[PermissionMode], doc("The permission modes that it knows.")]
    default_mode: Annotated[str | None, doc("The agent's own name for its mode if a run requests none.")]
    install: Annotated[str, doc("How an operator installs it.")]


class AgentsOut(TypedDict):
    """The agents that runs may request."""

    results: list[AgentOut]
    workers: Annotated[int | None, doc("Workers that reported in the last minute; null: not known.", 2)]


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
