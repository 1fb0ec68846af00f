"""The words of pushes (contract 7.2, 16): what each kind says, and how much of it a person or a project wants said."""

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
# In the order in which a digest names them: what one task does, what several do.
_DIGEST_WORDS: Mapping[NotificationKind, tuple[str, str]] = {
    NotificationKind.AWAITING: ("needs you", "need you"),
    NotificationKind.COMPLETED: ("finished", "finished"),
    NotificationKind.FAILED: ("failed", "failed"),
    NotificationKind.CANCELLED: ("was cancelled", "were cancelled"),
}


def message_body(
    kind: NotificationKind, title: str, push_text: PushText = PushText.TITLE, *, question: str | None = None
) -> str:
    """Return the text of a push about what has this title.

    `generic` says no title; `full` adds the title of a question.
    """
    if push_text is PushText.GENERIC and kind in _DIGEST_WORDS:
        return _about("A task", kind)
    body = _about(f'"{title or _UNTITLED}"', kind)
    return f"{body}: {question}" if push_text is PushText.FULL and question else body


def _about(subject: str, kind: NotificationKind) -> str:
    return _SENTENCES[kind].replace("{}", subject)


def digest_body(counts: Mapping[NotificationKind, int]) -> str:
    """Return the text of the one message after quiet hours: "3 tasks need you, 2 finished"."""
    parts: list[str] = []
    for kind, (one, several) in _DIGEST_WORDS.items():
        if count := counts.get(kind, 0):
            noun = "" if parts else ("task " if count == 1 else "tasks ")
            parts.append(f"{count} {noun}{one if count == 1 else several}")
    return ", ".join(parts)


def closed_body(status: QuestionStatus, answered_by: str | None) -> str:
    """Return the text that takes the place of a question's notice; `answered_by` is a first name, or unknown."""
    if status is QuestionStatus.ANSWERED:
        return f"Answered by {answered_by}" if answered_by else "Answered"
    return "Expired" if status is QuestionStatus.EXPIRED else "No longer needed"
