"""The texts of pushes (contract 7.2, 16): by kind, and by the detail that a person or a project allows."""

from collections.abc import Mapping

from app.enums import NotificationKind, PushText, QuestionStatus

_UNTITLED = "Untitled task"
_SENTENCES: Mapping[NotificationKind, str] = {
    NotificationKind.COMPLETED: "{} finished",
    NotificationKind.FAILED: "{} failed",
    NotificationKind.CANCELLED: "{} was cancelled",
    NotificationKind.AWAITING: "{} needs your input",
    NotificationKind.TEST: "{}: this is a test",
    NotificationKind.WEBHOOK_DISABLED: "The webhook endpoint {} was disabled",
}
# In the order of a digest: the words for one task, and for several.
_DIGEST_WORDS: Mapping[NotificationKind, tuple[str, str]] = {
    NotificationKind.AWAITING: ("needs you", "need you"),
    NotificationKind.COMPLETED: ("finished", "finished"),
    NotificationKind.FAILED: ("failed", "failed"),
    NotificationKind.CANCELLED: ("was cancelled", "were cancelled"),
}


def message_body(
    kind: NotificationKind, title: str, push_text: PushText = PushText.TITLE, *, question: str | None = None
) -> str:
    """Return the text of a push about the task with this title.

    `generic` contains no title; `full` adds the title of a question.
    """
    if push_text is PushText.GENERIC and kind in _DIGEST_WORDS:
        return _about("A task", kind)
    body = _about(f'"{title or _UNTITLED}"', kind)
    return f"{body}: {question}" if push_text is PushText.FULL and question else body


def _about(subject: str, kind: NotificationKind) -> str:
    return _SENTENCES[kind].replace("{}", subject)


def digest_body(counts: Mapping[NotificationKind, int]) -> str:
    """Return the text of the message after quiet hours, such as "3 tasks need you, 2 finished"."""
    parts: list[str] = []
    for kind, (one, several) in _DIGEST_WORDS.items():
        if count := counts.get(kind, 0):
            noun = "" if parts else ("task " if count == 1 else "tasks ")
            parts.append(f"{count} {noun}{one if count == 1 else several}")
    return ", ".join(parts)


def closed_body(status: QuestionStatus, answered_by: str | None) -> str:
    """Return the text that replaces a question's notice; `answered_by` is a first name, None if unknown."""
    if status is QuestionStatus.ANSWERED:
        return f"Answered by {answered_by}" if answered_by else "Answered"
    return "Expired" if status is QuestionStatus.EXPIRED else "No longer needed"
