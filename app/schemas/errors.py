"""The error bodies of the API, as published (contract 2.4)."""

from datetime import datetime
from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from app.enums import LimitType
from app.schemas.questions import Winner


class ErrorOut(TypedDict):
    """Every failure: exactly these four keys."""

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
    """A question that takes no answer any more."""

    extra: Annotated[Winner, Field(description="The answer that counts.")]


class RunRefusedOut(TypedDict):
    """A run that cannot be created as asked."""

    detail: Annotated[
        str, Field(description="What is wrong, for people.", examples=["Invalid resume_from_run_id"])
    ]
    missing_artifact_ids: NotRequired[
        Annotated[list[str], Field(description="The artifacts that are not there, as they were asked for.")]
    ]


class StateRefusedOut(TypedDict):
    """An artifact or a run that is not in a state which allows this."""

    error: Annotated[str, Field(examples=["Run is already completed"])]
    missing_artifact_ids: NotRequired[
        Annotated[
            list[str], Field(description="The files that the run does not have, as they were asked for.")
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
    limit_type: NotRequired[Annotated[LimitType, Field(description="Which limit it is, if that is known.")]]
    reset_at: NotRequired[
        Annotated[datetime, Field(description="When there may be another run, if that is known.")]
    ]
