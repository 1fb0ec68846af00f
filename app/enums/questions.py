"""Enumerations of questions and inboxes."""

from enum import StrEnum


class QuestionKind(StrEnum):
    """What an agent waits for."""

    PERMISSION = "permission"
    FORM = "form"
    URL = "url"
    # The agent's turn is over, and it waits for the next message.
    MESSAGE = "message"


class QuestionStatus(StrEnum):
    """The status of a question; all but the first are final."""

    OPEN = "open"
    ANSWERED = "answered"
    # No answer came in time.
    EXPIRED = "expired"
    # The agent, its turn or its run ended first.
    WITHDRAWN = "withdrawn"


class QuestionRisk(StrEnum):
    """What an answer may cost, by the tool and the rules of the service, never by the agent's words."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class InboxStatus(StrEnum):
    """Which questions an inbox shows."""

    OPEN = "open"
    ALL = "all"


class FormAction(StrEnum):
    """What a person does with a form or a link of an agent."""

    ACCEPT = "accept"
    DECLINE = "decline"
    CANCEL = "cancel"


class QuestionAction(StrEnum):
    """What the caller may do about a question."""

    ANSWER = "answer"
    SNOOZE = "snooze"
    MUTE = "mute"


class AnswerVia(StrEnum):
    """The way by which a question was answered."""

    API = "api"
    CONSOLE = "console"
    CLI = "cli"
    ACTION_TOKEN = "action_token"  # noqa: S105 - a way, not a secret
    MCP = "mcp"
    A2A = "a2a"
    RULE = "rule"
