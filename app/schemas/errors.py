"""The error bodies of the API, as published (contract 2.4)."""

from datetime import datetime
from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from app.enums import LimitType
from app.schemas.base import doc
from app.schemas.questions import Winner


class ErrorOut(TypedDict):
    """The body of an error response: exactly the keys `type`, `code`, `detail` and `attr`."""

    type: Annotated[
        Literal[
            "validation_error", "invalid_request", "authentication_error", "throttled_error", "server_error"
        ],
        doc("The kind of error."),
    ]
    code: Annotated[str, doc("Machine-readable code of the error.", "not_found")]
    detail: Annotated[str, doc("The error, as a text for people.", "Not found.")]
    attr: Annotated[
        str | None,
        doc(
            "The invalid field, with nested keys joined by `__`; null if the error concerns no single field."
        ),
    ]


class QuestionSettledOut(ErrorOut):
    """The error response to an answer to a closed question. It contains the answer that closed the question."""

    extra: Annotated[Winner, doc("The answer that counts.")]


class RunRefusedOut(TypedDict):
    """The error response if a run cannot be created as requested."""

    detail: Annotated[str, doc("The error, as a text for people.", "Invalid resume_from_run_id")]
    missing_artifact_ids: NotRequired[
        Annotated[list[str], doc("The missing artifacts, as the request named them.")]
    ]


class StateRefusedOut(TypedDict):
    """The error response if the state of an artifact or a run does not allow the request."""

    error: Annotated[str, Field(examples=["Run is already completed"])]
    missing_artifact_ids: NotRequired[
        Annotated[list[str], doc("The files that the run does not have, as the request named them.")]
    ]


class UsageLimitOut(TypedDict):
    """The error response if the usage limit of a project does not allow another cloud run."""

    type: Literal["rate_limited"]
    code: Literal["usage_limit_exceeded"]
    error: Annotated[str, doc("The error, as a text for people.", "This project is over its usage limit.")]
    is_pro: Annotated[bool, doc("Whether the project has a paid plan already.")]
    limit_type: NotRequired[Annotated[LimitType, doc("The exceeded limit, if it is known.")]]
    reset_at: NotRequired[
        Annotated[datetime, doc("The time from which another run is allowed, if it is known.")]
    ]
