"""The agents that runs may request (contract 19.6)."""

from typing import Annotated
from uuid import UUID

from typing_extensions import TypedDict

from app.enums import PermissionMode, ReasoningEffort
from app.schemas.base import QueryInput, doc
from app.schemas.fields import Uuid


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
