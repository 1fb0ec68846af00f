"""Prepare the HTML page of a question: its full content, with every possible answer (contract 15)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.clock import utcnow
from app.enums import AnswerVia, FormAction, QuestionKind, QuestionRisk, QuestionStatus
from app.services.inbox.questions import QuestionRow, host_of
from app.services.task_links import slug, slug_prefix
from app.web.pages.fields import FormField, fields_of, form_of, visible

_KINDS = {
    QuestionKind.PERMISSION: "The agent asks for permission",
    QuestionKind.FORM: "The agent has a question",
    QuestionKind.URL: "The agent asks you to open a page",
    QuestionKind.MESSAGE: "The agent waits for your message",
}
# The service's own labels, since the name of an option is the agent's text.
_OPTIONS = {
    "allow_once": "Allow once",
    "allow_always": "Always allow",
    "reject_once": "Reject",
    "reject_always": "Always reject",
}
_REJECTING = frozenset({"reject_once", "reject_always"})
_CHOSEN = {
    "allow_once": "Allowed once",
    "allow_always": "Always allowed",
    "reject_once": "Rejected",
    "reject_always": "Always rejected",
}
_ACTIONS = {FormAction.ACCEPT: "Accepted", FormAction.DECLINE: "Declined", FormAction.CANCEL: "Cancelled"}
_WAYS = {
    AnswerVia.API: "the API",
    AnswerVia.CONSOLE: "the console",
    AnswerVia.CLI: "the command line",
    AnswerVia.ACTION_TOKEN: "a notification",
    AnswerVia.MCP: "MCP",
    AnswerVia.A2A: "A2A",
    AnswerVia.RULE: "a rule",
}
_CLOSED = {
    QuestionStatus.EXPIRED: ("This question has expired", "No answer came in time, so it counts as refused."),
    QuestionStatus.WITHDRAWN: (
        "This question was withdrawn",
        "The agent does not wait for an answer any more.",
    ),
}
_UNSHOWN = "This form cannot be shown. You can only decline it."


@dataclass(frozen=True, slots=True)
class Notice:
    """The box at the top of a question's HTML page, with the answer or a warning. It is not a notice of a push."""

    look: str
    title: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A submit button of a question's HTML page: its label, and the form field that it sends (`name`, `value`)."""

    name: str
    value: str
    label: str
    look: str = ""
    # The agent's name of the option, if it differs.
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The data that the HTML template `page.html` shows: a question, or an error."""

    heading: str
    about: str = ""
    where: str = ""
    notice: Notice | None = None
    text: str = ""
    has_way_back: bool = False
    detail: str = ""
    link: str = ""
    link_host: str = ""
    is_link_safe: bool = False
    is_open: bool = False
    digest: str = ""
    fields: Sequence[FormField] = ()
    takes_text: bool = False
    takes_note: bool = False
    needs_key: bool = False
    # The answers side by side in fixed places; the next field has the answers below them.
    answers: Sequence[Button] = ()
    more: Sequence[Button] = ()
    # The question has answers that the token of this page does not take.
    has_other_answers: bool = False
    attributes: Sequence[tuple[str, str]] = field(default_factory=list)


def page_of_question(row: QuestionRow, options: Sequence[Mapping[str, Any]], *, asks_for_key: bool) -> Page:
    """Return the data of a question's HTML page."""
    kind, is_open = row.kind, row.status is QuestionStatus.OPEN
    is_risky = row.risk == QuestionRisk.HIGH
    number = slug(slug_prefix(row.project_name), row.task_number)
    answers, more = _buttons(kind, options)
    form = form_of(row) if kind is QuestionKind.FORM else None
    return Page(
        heading=visible(row.title) or _KINDS[kind],
        about=_KINDS[kind],
        where=visible(" · ".join(filter(None, (number, row.repository)))),
        notice=_notice(row, is_risky=is_risky),
        detail=visible(row.detail),
        link=visible(row.url),
        link_host=visible(host_of(row.url)),
        is_link_safe=is_open and (row.url or "").startswith("https://"),
        is_open=is_open,
        digest=row.digest.hex(),
        text=_UNSHOWN if kind is QuestionKind.FORM and form is None else "",
        fields=() if form is None else fields_of(form),
        takes_text=kind is QuestionKind.MESSAGE,
        takes_note=kind is QuestionKind.PERMISSION,
        needs_key=asks_for_key,
        answers=answers,
        more=more,
        has_other_answers=len(options) < len(row.options),
        attributes=_attributes(row, is_open=is_open),
    )


def page_of_failure(title: str, text: str, *, has_question: bool) -> Page:
    """Return the data of an HTML page about an error: a link is not valid, or an answer was refused."""
    return Page(heading=title, text=text, has_way_back=has_question)


def _notice(row: QuestionRow, *, is_risky: bool) -> Notice | None:
    match row.status:
        case QuestionStatus.ANSWERED:
            assert row.answered_via is not None
            assert row.closed_at is not None
            by, person = "Answered", row.creator
            if person is not None:
                name = " ".join(filter(None, (person.first_name, person.last_name)))
                by = f"Answered by {visible(name or person.email)}"
            text = f"{by} through {_WAYS[row.answered_via]}, {_moment(row.closed_at)}."
            return Notice("good", answer_in_words(row), text)
        case QuestionStatus.EXPIRED | QuestionStatus.WITHDRAWN as status:
            return Notice("", *_CLOSED[status])
        case QuestionStatus.OPEN if is_risky:
            return Notice("warn", "High risk", "Read all of it before you allow it.")
        case QuestionStatus.OPEN:
            return None


def answer_in_words(row: QuestionRow) -> str:
    """Return a text for people, such as "Allowed once", that describes the answer that closed a question."""
    answer: Mapping[str, Any] = row.answer or {}
    if (option_id := answer.get("option_id")) is not None:
        kinds = [option["kind"] for option in row.options if option["id"] == option_id]
        return _CHOSEN.get(kinds[0] if kinds else "", visible(option_id))
    if (action := answer.get("action")) is not None:
        return _ACTIONS[FormAction(action)]
    return "Message sent"


def _buttons(kind: QuestionKind, options: Sequence[Mapping[str, Any]]) -> tuple[list[Button], list[Button]]:
    match kind:
        case QuestionKind.PERMISSION:
            firsts = [
                next((option for option in options if option["kind"] == wanted), None)
                for wanted in ("reject_once", "allow_once")
            ]
            others = [option for option in options if option not in firsts]
            safe = [_of_option(each, allowing="allow") for each in firsts if each]
            return safe, [_of_option(each) for each in others]
        case QuestionKind.FORM | QuestionKind.URL:
            accept = "Send" if kind is QuestionKind.FORM else "I agree to open it"
            # The return key in a field presses the first one; the style puts it at the right.
            return [
                Button(name="action", value=FormAction.ACCEPT, label=accept, look="allow"),
                Button(name="action", value=FormAction.DECLINE, label="Decline", look="reject"),
            ], []
        case QuestionKind.MESSAGE:
            return [Button(name="way", value="text", label="Send", look="allow")], []


def _of_option(option: Mapping[str, Any], *, allowing: str = "") -> Button:
    said = visible(option["name"])
    label = _OPTIONS.get(option["kind"]) or said
    return Button(
        name="option_id",
        value=option["id"],
        label=label,
        look="reject" if option["kind"] in _REJECTING else allowing,
        said="" if said.casefold() == label.casefold() else said,
    )


def _attributes(row: QuestionRow, *, is_open: bool) -> list[tuple[str, str]]:
    attributes = [
        ("Task", visible(row.task_title)),
        ("Project", visible(row.project_name)),
        ("Risk", row.risk.capitalize()),
        ("Asked", _moment(row.opened_at)),
    ]
    if is_open and row.expires_at is not None:
        left = _duration(row.expires_at - utcnow())
        attributes.append(("Answer by", f"{_moment(row.expires_at)}, {left} left"))
    return [(name, value) for name, value in attributes if value]


def _moment(at: datetime) -> str:
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def _duration(left: timedelta) -> str:
    minutes = max(0, round(left.total_seconds() / 60))
    if minutes < 2:  # noqa: PLR2004 - "1 minutes" is the reason
        return "a minute"
    hours = minutes // 60
    return f"{minutes} minutes" if hours < 2 else f"{hours} hours"  # noqa: PLR2004 - as above
