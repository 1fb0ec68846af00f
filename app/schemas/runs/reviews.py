"""The review of a run's changes by one person (contract 19.5)."""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from typing_extensions import TypedDict

from app.enums import DiffSide
from app.schemas.base import Input, doc
from app.schemas.fields import Boolean, Choice, Integer, Items, Text, Timestamp
from app.schemas.users import UserBasic

_MOST_MARKS = 5000
_MOST_COMMENTS = 500
_MOST_LINES = 10_000_000
_Path = Annotated[
    str, Text(max_length=1000, verbatim=True), doc("The path of a changed file.", "src/login.py")
]
_Line = Annotated[int, Integer(minimum=1, maximum=_MOST_LINES)]


class ViewedFile(Input):
    """A file that the person has viewed."""

    path: _Path
    hash: Annotated[
        str, Text(max_length=128), doc("The client's word for the content that was viewed.", "9fceb0")
    ]


class ReviewComment(Input):
    """A comment on lines of a changed file."""

    id: Annotated[str, Text(max_length=64), doc("The client's own, unique in the review.")]
    path: _Path
    side: Annotated[
        DiffSide, Choice(of=DiffSide, named=True), doc("Whether the lines are those before or after.")
    ]
    start_line: Annotated[_Line, doc("The first line.")]
    line: Annotated[_Line, doc("The last line.")]
    text: Annotated[str, Text(max_length=10_000), doc("The comment.", "Is this still needed?")]
    hash: Annotated[
        str | None,
        Text(max_length=128, null=True),
        doc("The client's word for the content that it is about."),
    ]
    created_at: Annotated[datetime | None, Timestamp(null=True), doc("When the person wrote it.")]
    message_id: Annotated[
        str | None,
        Text(max_length=64, null=True),
        doc("The `id` of the `user_message` with it, or `run:` and the id of a run; null: not sent."),
    ] = None
    resolved: Annotated[bool, Boolean(), doc("Whether the person needs nothing more of it.")] = False


class ReviewIn(Input):
    """The whole review; it replaces the one that the client has read."""

    examples: ClassVar = {
        "A viewed file": {
            "version": 0,
            "viewed": [{"path": "src/login.py", "hash": "9fceb0"}],
            "comments": [],
        }
    }

    version: Annotated[
        int, Integer(minimum=0, maximum=2**31 - 2), doc("`version` of the review that was read.")
    ]
    viewed: Annotated[list[ViewedFile], Items(max_length=_MOST_MARKS), doc("The viewed files.")]
    comments: Annotated[list[ReviewComment], Items(max_length=_MOST_COMMENTS), doc("The unsent comments.")]


class SentComments(TypedDict):
    """The comments on one run that a person has sent."""

    run_id: UUID
    sent_by: UserBasic
    comments: list[ReviewComment]


class ReviewOut(TypedDict):
    """The caller's own review of a run's changes, and what has been sent before."""

    version: Annotated[int, doc("The number of writes.", 3)]
    viewed: list[ViewedFile]
    comments: list[ReviewComment]
    updated_at: Annotated[datetime | None, doc("When it was last written.")]
    earlier: Annotated[
        list[SentComments],
        doc("Sent by others on this run, and by all on runs of the task before it, newest run first."),
    ]
