"""The error bodies of the API, as published (contract 2.4)."""

from datetime import datetime
from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from app.enums import LimitType
from app.schemas.questions import Winner


class ErrorOut(TypedDict):
    """The body of every failure: exactly these four keys."""

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


class QuestionSettledOut(ErrorOut):
    """A question that does not accept an answer any more."""

    extra: Annotated[Winner, Field(description="The answer that counts.")]


class RunRefusedOut(TypedDict):
    """A run that cannot be created as requested."""

    detail: Annotated[
        str, Field(description="What is wrong, for people.", examples=["Invalid resume_from_run_id"])
    ]
    missing_artifact_ids: NotRequired[
        Annotated[list[str], Field(description="The missing artifacts, as the request named them.")]
    ]


class StateRefusedOut(TypedDict):
    """An artifact or a run in a state that does not allow the request."""

    error: Annotated[str, Field(examples=["Run is already completed"])]
    missing_artifact_ids: NotRequired[
        Annotated[
            list[str], Field(description="The files that the run does not have, as the request named them.")
        ]
    ]


class UsageLimitOut(TypedDict):
    """A project that may not have another cloud run."""

    type: Literal["rate_limited"]
    code: Literal["usage_limit_exceeded"]
    error: Annotated[
        str,
        Field(description="What is wrong, for people.", examples=["This project is over its usage limit."]),
    ]
    is_pro: Annotated[bool, Field(description="Whether the project has a paid plan already.")]
    limit_type: NotRequired[Annotated[LimitType, Field(description="The exceeded limit, if it is known.")]]
    reset_at: NotRequired[
        Annotated[datetime, Field(description="The time from which another run is allowed, if it is known.")]
    ]
