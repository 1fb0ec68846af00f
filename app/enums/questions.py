"""Enumerations of questions and inboxes."""

from enum import StrEnum


class QuestionKind(StrEnum):
    """The kind of a question: what an agent asks (a permission, a form, a page, a message), or the service."""

    PERMISSION = "permission"
    FORM = "form"
    URL = "url"
    # The agent's turn is over, and it waits for the next message.
    MESSAGE = "message"
    # A question of the service: what to do with the work of a run that is over and not verified.
    VERDICT = "verdict"


class QuestionStatus(StrEnum):
    """The status of a question; all statuses except `open` are final."""

    OPEN = "open"
    ANSWERED = "answered"
    # No answer came in time.
    EXPIRED = "expired"
    # The agent, its turn or its run ended first.
    WITHDRAWN = "withdrawn"

    @property
    def is_open(self) -> bool:
        """Whether the question still waits for an answer; in SQL, `Question.is_open`."""
        return self is QuestionStatus.OPEN


class QuestionRisk(StrEnum):
    """The risk of the answer to a question. The tool and the service's rules decide it, never the agent's words."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class InboxStatus(StrEnum):
    """The value of an inbox's filter `status`: open questions, those that expired lately, or open and closed ones."""

    OPEN = "open"
    MISSED = "missed"
    ALL = "all"


class FormAction(StrEnum):
    """A person's response to an agent's form, or to a page that the agent asked the person to open."""

    ACCEPT = "accept"
    DECLINE = "decline"
    CANCEL = "cancel"


class VerdictAnswer(StrEnum):
    """What a person makes of work that is not verified: id and kind of the option that answers the question."""

    # A new run continues the work, with the reasons as its message.
    SEND_BACK = "send_back"
    WAIVE = "waive"


class QuestionAction(StrEnum):
    """An action that the caller may take on a question."""

    ANSWER = "answer"
    SNOOZE = "snooze"
    MUTE = "mute"


class AnswerVia(StrEnum):
    """The channel through which a question was answered."""

    API = "api"
    CONSOLE = "console"
    CLI = "cli"
    ACTION_TOKEN = "action_token"  # noqa: S105 - a way, not a secret
    MCP = "mcp"
    A2A = "a2a"
    RULE = "rule"
