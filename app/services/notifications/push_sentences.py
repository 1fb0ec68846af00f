"""Write the texts of pushes, by kind and by the detail that a person or project allows (contract 7.2, 16)."""

from collections.abc import Mapping

from app.enums import NotificationDecision, NotificationKind, PushText, QuestionStatus
from app.services.notifications.rules.cooldowns import FIVE_A_RUN, ONE_A_MINUTE

_UNTITLED = "Untitled task"
_SENTENCES: Mapping[NotificationKind, str] = {
    NotificationKind.COMPLETED: "{} finished",
    NotificationKind.FAILED: "{} failed",
    NotificationKind.CANCELLED: "{} was cancelled",
    NotificationKind.AWAITING: "{} needs your input",
    NotificationKind.NOTIFY_USER: "{} has a message for you",
    NotificationKind.TEST: "{}: this is a test",
    NotificationKind.WEBHOOK_DISABLED: "The webhook endpoint {} was disabled",
}
# In the order of a digest: the words for one task, and for several.
_DIGEST_WORDS: Mapping[NotificationKind, tuple[str, str]] = {
    NotificationKind.AWAITING: ("needs you", "need you"),
    NotificationKind.COMPLETED: ("finished", "finished"),
    NotificationKind.FAILED: ("failed", "failed"),
    NotificationKind.CANCELLED: ("was cancelled", "were cancelled"),
    NotificationKind.NOTIFY_USER: ("has a message for you", "have messages for you"),
}


def message_body(
    kind: NotificationKind,
    title: str,
    push_text: PushText = PushText.TITLE,
    *,
    question: str | None = None,
    proof: str | None = None,
) -> str:
    """Return the text of a push about a task or webhook host (`title`), with as much detail as `push_text` allows."""
    if push_text is PushText.GENERIC and kind in _DIGEST_WORDS:
        return _about("A task", kind)
    body = _about(f'"{title or _UNTITLED}"', kind)
    if proof:
        body = f"{body}, {proof}"
    return f"{body}: {question}" if push_text is PushText.FULL and question else body


def _about(subject: str, kind: NotificationKind) -> str:
    return _SENTENCES[kind].replace("{}", subject)


def digest_body(counts: Mapping[NotificationKind, int]) -> str:
    """Return the text of a digest, such as "3 tasks need you, 2 finished", by the number of tasks."""
    parts: list[str] = []
    for kind, (singular, plural) in _DIGEST_WORDS.items():
        if count := counts.get(kind, 0):
            noun = "" if parts else ("task " if count == 1 else "tasks ")
            parts.append(f"{count} {noun}{singular if count == 1 else plural}")
    return ", ".join(parts)


def closed_body(status: QuestionStatus, answered_by: str | None) -> str:
    """Return the text that replaces a push whose question was closed, with a first name if it may show one."""
    if status is QuestionStatus.ANSWERED:
        return f"Answered by {answered_by}" if answered_by else "Answered"
    return "Expired" if status is QuestionStatus.EXPIRED else "No longer needed"


# Why a message of an agent is not sent: by the reason of the decision, or by the decision alone.
_REASONS_IN_WORDS = {
    ONE_A_MINUTE: "at most one message a minute",
    FIVE_A_RUN: "at most five messages a run",
    "presence": "a person is looking at this task",
    "task_muted": "the person has muted this task",
    "kind_off": "the person wants no messages of agents",
    "project_off": "the project allows no messages of agents",
    "quiet_hours": "the person has quiet hours; the message is sent at their end",
}
_DECISIONS_IN_WORDS = {
    NotificationDecision.NO_TOKEN: "the person has no device",
    NotificationDecision.NO_ACCESS: "the person of this task has no access to it any more",
}


def reason_in_words(decision: NotificationDecision, reason: str | None) -> str | None:
    """Return, for the agent, why its message is not sent now, from the stored reason; None if it is sent."""
    return _DECISIONS_IN_WORDS.get(decision) or _REASONS_IN_WORDS.get(reason or "", reason)
