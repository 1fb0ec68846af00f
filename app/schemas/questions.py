"""Questions of agents: their published form, and the bodies that answer and snooze them (contract 15)."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal, NotRequired, Self
from uuid import UUID

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from app.enums import (
    AnswerVia,
    CommandStatus,
    FormAction,
    InboxStatus,
    QuestionAction,
    QuestionKind,
    QuestionRisk,
    QuestionStatus,
    RunStatus,
    Urgency,
)
from app.ids import MAX_BIGINT
from app.json_types import JsonDict
from app.schemas.base import Input, ListPage, QueryInput, doc
from app.schemas.fields import Choice, Integer, JsonObject, Text, Timestamp, fail
from app.schemas.users import UserBasic

MAX_SNOOZE_SECONDS = 86_400
_MAX_TEXT = 100_000
_MAX_NOTE = 10_000
_MAX_OPTION = 255
_DIGEST = 64
_AMBIGUOUS = "Give exactly one of option_id, action and text."
_EXAMPLE = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class InboxQuery(QueryInput):
    """The query parameters that filter the questions in an inbox."""

    status: Annotated[
        InboxStatus,
        Choice(of=InboxStatus, named=True),
        doc(
            "`open`: only questions that wait for an answer; `all`: closed questions too; "
            "`missed`: only those that expired in the last day, without messages."
        ),
    ] = InboxStatus.OPEN
    kind: Annotated[
        QuestionKind | None, Choice(of=QuestionKind, named=True), doc("Only questions of this kind.")
    ] = None
    project_id: Annotated[
        int | None, Integer(minimum=1, maximum=MAX_BIGINT), doc("Only questions of this project.")
    ] = None


class QuestionOption(TypedDict):
    """One choice that a permission request or a verdict offers, as a response shows it."""

    id: Annotated[str, doc("The `option_id` of an answer.", "allow")]
    name: Annotated[str, doc("The label of the choice; of a permission written by the agent.", "Allow once")]
    kind: Annotated[str, doc("`allow_once`, `reject_always` and so on; of a `verdict` its id.", "allow_once")]


class QuestionTask(TypedDict):
    """The task that a question belongs to, as part of the question in a response."""

    id: UUID
    title: Annotated[str, Field(examples=["Say hello"])]
    slug: Annotated[str, Field(examples=["TES-1"])]
    repository: Annotated[str | None, Field(examples=["acme/shop"])]


class QuestionRun(TypedDict):
    """The run that a question belongs to, as part of the question in a response."""

    id: UUID
    status: RunStatus


class Winner(TypedDict):
    """The answer that closed a question, and the person, channel and time of the answer; all null without an answer."""

    answer: Annotated[
        JsonDict | None, doc("The answer: `option_id`, `action` or `text`.", {"option_id": "allow"})
    ]
    answered_by: UserBasic | None
    answered_via: Annotated[AnswerVia | None, doc("The channel by which the answer arrived.")]
    answered_at: datetime | None


class QuestionOut(Winner):
    """A question of an agent or the service to people, open or closed."""

    id: UUID
    kind: Annotated[
        QuestionKind,
        doc(
            "`permission`: the agent asks to do this; `form`: fields to fill in; `url`: a page to open; "
            "`message`: it waits for your next message; `verdict`: its work is not verified."
        ),
    ]
    status: Annotated[
        QuestionStatus,
        doc("`expired`: no answer came in time; `withdrawn`: the agent does not wait any more."),
    ]
    urgency: Annotated[Urgency, doc("The urgency of notifications about the question.")]
    risk: Annotated[QuestionRisk, doc("The risk of an answer, by the tool and the rules of the service.")]
    digest: Annotated[
        str,
        doc(
            "SHA-256 of the question's content, in hexadecimal digits. Send it with the answer.",
            _EXAMPLE,
        ),
    ]
    title: Annotated[str, Field(examples=["Run `make deploy`"])]
    detail: Annotated[str, doc("The requested action, shortened.", "make deploy")]
    options: Annotated[list[QuestionOption], doc("The choices of a `permission` or a `verdict`.")]
    schema: Annotated[JsonDict | None, doc("JSON Schema of the `content` that answers a `form`.")]
    link: Annotated[str | None, doc("The page that a `url` question is about.")]
    link_host: Annotated[str | None, doc("The host of `url`. Show it to people before they open the page.")]
    task: QuestionTask
    run: QuestionRun
    project_id: int
    opened_at: datetime
    expires_at: Annotated[datetime | None, doc("When the question expires, which counts as a refusal.")]
    snoozed_until: Annotated[
        datetime | None, doc("Until when the caller gets no notifications about the question.")
    ]
    allowed_actions: Annotated[list[QuestionAction], doc("The actions the caller may take now.")]
    url: Annotated[
        str, doc("URL of a page that shows the task to people.", "/api/projects/1/tasks/019ca8a0/")
    ]


class QuestionList(TypedDict):
    """The questions of a run in a response."""

    results: list[QuestionOut]


class InboxPage(ListPage):
    """A page of questions, most urgent first, then oldest first."""

    results: list[QuestionOut]
    open_count: Annotated[
        int, doc("The number of the caller's open questions over all projects, unfiltered, without messages.")
    ]


class ActionIn(Input):
    """An answer to a question, sent with an action token. It is empty if the token itself names the chosen option."""

    examples: ClassVar = {"A token that names an option": {}, "A token of a page": {"option_id": "allow"}}

    digest: Annotated[
        str | None,
        Text(max_length=_DIGEST, null=True),
        doc("The digest of the question that was shown; a different one is refused."),
    ] = None
    option_id: Annotated[
        str | None, Text(max_length=_MAX_OPTION, null=True), doc("Answers a `permission` or a `verdict`.")
    ] = None
    action: Annotated[
        FormAction | None,
        Choice(of=FormAction, named=True, null=True),
        doc("Answers a `form` or a `url`; `cancel` also cancels the action that the agent asked for."),
    ] = None
    content: Annotated[
        JsonDict | None,
        JsonObject(null=True),
        doc("With `accept`: the fields of a `form`, by its `schema`."),
    ] = None
    text: Annotated[str | None, Text(max_length=_MAX_TEXT, null=True), doc("Answers a `message`.")] = None
    custom_input: Annotated[
        str | None,
        Text(max_length=_MAX_NOTE, null=True, blank_is_absent=True),
        doc("A note to the agent, with `option_id`; with `waive`, the reason."),
    ] = None

    @model_validator(mode="after")
    def _require_consistency(self) -> Self:
        if self.given_ways > 1:
            raise fail("invalid_input", _AMBIGUOUS)
        if self.content is not None and self.action is not FormAction.ACCEPT:
            raise fail("invalid_input", "content belongs to the action accept.")
        if self.custom_input is not None and self.option_id is None:
            raise fail("invalid_input", "custom_input belongs to option_id.")
        return self

    @property
    def given_ways(self) -> int:
        """The number of fields among `option_id`, `action` and `text` that are given. A complete answer has one."""
        return sum(way is not None for way in (self.option_id, self.action, self.text))


class AnswerIn(ActionIn):
    """An answer to a question. The question's kind decides which one of `option_id`, `action` and `text` it has."""

    examples: ClassVar = {
        "Allow once": {"option_id": "allow", "digest": _EXAMPLE},
        "Reject, with a reason": {"option_id": "reject", "custom_input": "Deploy to staging first."},
        "Fill in a form": {"action": "accept", "content": {"question_0": "Blue"}},
        "Decline a form, or to open a page": {"action": "decline"},
        "Send the next message": {"text": "Now write the tests."},
        "Accept work that is not verified": {"option_id": "waive", "custom_input": "The test is wrong."},
    }

    @model_validator(mode="after")
    def _require_answer(self) -> Self:
        if self.given_ways != 1:
            raise fail("invalid_input", _AMBIGUOUS)
        return self


class AnsweredOut(Winner):
    """The answer that closed a question, and the progress of its delivery to the agent."""

    status: Literal["answered"]
    delivery: Annotated[
        CommandStatus | None,
        doc("Its progress to the agent; `dropped`: the agent ended first. Null of a `verdict`."),
    ]
    run_id: NotRequired[Annotated[UUID, doc("The run that `send_back` has started.")]]
    repeated: NotRequired[Annotated[bool, doc("True if the question had this answer already.", True)]]


class SnoozeIn(Input):
    """A request to suspend notifications about a question: either `until` a time, or for a number of `seconds`."""

    examples: ClassVar = {"For an hour": {"seconds": 3600}}

    until: Annotated[
        datetime | None, Timestamp(null=True), doc("Until this time, at most 24 hours from now.")
    ] = None
    seconds: Annotated[
        int | None,
        Integer(minimum=1, maximum=MAX_SNOOZE_SECONDS, null=True),
        doc("For how many seconds from now."),
    ] = None

    @model_validator(mode="after")
    def _require_one(self) -> Self:
        if (self.until is None) == (self.seconds is None):
            raise fail("invalid_input", "Give exactly one of until and seconds.")
        return self
