"""The error bodies of the API, as published (contract 2.4)."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

__all__ = ["ErrorOut", "RunRefusedOut", "StateRefusedOut"]


class ErrorOut(TypedDict):
    """The envelope of every failure: exactly these four keys."""

    type: Annotated[
        Literal[
            "validation_error", "invalid_request", "authentication_error", "throttled_error", "server_error"
        ],
        Field(description="The kind of failure."),
    ]
    code: Annotated[str, Field(description="What is wrong, for programs.", examples=["not_found"])]
    detail: Annotated[str, Field(description="What is wrong, for people.", examples=["Not found."])]
    attr: Annotated[
        str | None,
        Field(
            description="The field that is wrong, nested keys joined by `__`; null if it is not about one."
        ),
    ]


class RunRefusedOut(TypedDict):
    """A run that cannot be created as asked."""

    detail: Annotated[str, Field(examples=["Invalid resume_from_run_id"])]


class StateRefusedOut(TypedDict):
    """An artifact or a run that is not in a state which allows this."""

    error: Annotated[str, Field(examples=["Run is already completed"])]
