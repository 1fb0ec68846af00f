"""Show a question in HTML, with every possible answer, and read the fields of its form (contract 15)."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.clock import utcnow
from app.dialogue.form_schemas import FormRefused, read_form
from app.dialogue.forms import NO, YES, Form, FormQuestion
from app.enums import AnswerVia, FormAction, QuestionKind, QuestionRisk, QuestionStatus
from app.json_types import JsonDict
from app.schemas.fields import parse_integer
from app.services.inbox.inbox_questions import QuestionRow
from app.services.views.task_links import slug, slug_prefix

KINDS = {
    QuestionKind.PERMISSION: "The agent asks for permission",
    QuestionKind.FORM: "The agent has a question",
    QuestionKind.URL: "The agent asks you to open a page",
    QuestionKind.MESSAGE: "The agent waits for your message",
    QuestionKind.VERDICT: "The work is done, and not verified",
}
# The service's own labels of an option, before and after it is chosen: the option's name is the agent's text.
_OPTIONS = {
    "allow_once": ("Allow once", "Allowed once"),
    "allow_always": ("Always allow", "Always allowed"),
    "reject_once": ("Reject", "Rejected"),
    "reject_always": ("Always reject", "Always rejected"),
    "send_back": ("Send back", "Sent back"),
    "waive": ("Waive", "Waived"),
}
_REJECTING = frozenset({"reject_once", "reject_always"})
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
        "It does not wait for an answer any more.",
    ),
}
# The prefix of the names of fields in the HTML form of page.html.
_PREFIX = "content."
# Invisible characters in ordinary words and emoji, which are kept.
_JOINERS = frozenset("\u200c\u200d\ufe0f")
_SPACES = frozenset("\n\t ")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class Banner:
    """The box at the top of the page."""

    look: str
    title: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    name: str
    value: str
    label: str
    look: str = ""
    # The agent's name of the option, if it differs.
    agents_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageData:
    """The data that the HTML template `page.html` shows: a question (`row`), or an error."""

    heading: str
    text: str = ""
    has_way_back: bool = False
    row: QuestionRow | None = None
    # The options that the page's token can choose.
    options: Sequence[Mapping[str, Any]] = ()
    asks_for_key: bool = False


def page_of(row: QuestionRow, options: Sequence[Mapping[str, Any]], *, asks_for_key: bool) -> PageData:
    return PageData(heading=row.title or KINDS[row.kind], row=row, options=options, asks_for_key=asks_for_key)


def place_of(row: QuestionRow) -> str:
    number = slug(slug_prefix(row.project_name), row.task_number)
    return " · ".join(filter(None, (number, row.repository)))


def banner_of(row: QuestionRow) -> Banner | None:
    match row.status:
        case QuestionStatus.ANSWERED:
            assert row.answered_via is not None
            assert row.closed_at is not None
            by, person = "Answered", row.creator
            if person is not None:
                name = " ".join(filter(None, (person.first_name, person.last_name)))
                by = f"Answered by {name or person.email}"
            text = f"{by} through {_WAYS[row.answered_via]}, {_moment(row.closed_at)}."
            return Banner("good", _answer(row), text)
        case QuestionStatus.EXPIRED | QuestionStatus.WITHDRAWN as status:
            return Banner("", *_CLOSED[status])
        case QuestionStatus.OPEN if row.risk is QuestionRisk.HIGH:
            return Banner("warn", "High risk", "Read all of it before you allow it.")
        case QuestionStatus.OPEN:
            return None


def _answer(row: QuestionRow) -> str:
    answer: Mapping[str, Any] = row.answer or {}
    if (option_id := answer.get("option_id")) is not None:
        kind = next((option["kind"] for option in row.options if option["id"] == option_id), "")
        return _OPTIONS.get(kind, ("", str(option_id)))[1]
    if (action := answer.get("action")) is not None:
        return _ACTIONS[FormAction(action)]
    return "Message sent"


def buttons_of(kind: QuestionKind, options: Sequence[Mapping[str, Any]]) -> tuple[list[Button], list[Button]]:
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
            # The return key presses the first button; the style puts it at the right.
            return [
                Button(name="action", value=FormAction.ACCEPT, label=accept, look="allow"),
                Button(name="action", value=FormAction.DECLINE, label="Decline", look="reject"),
            ], []
        case QuestionKind.VERDICT:
            return [_of_option(option) for option in options], []
        case QuestionKind.MESSAGE:
            return [Button(name="way", value="text", label="Send", look="allow")], []


def _of_option(option: Mapping[str, Any], *, allowing: str = "") -> Button:
    name = option["name"]
    label, _ = _OPTIONS.get(option["kind"], (name, ""))
    return Button(
        name="option_id",
        value=option["id"],
        label=label,
        look="reject" if option["kind"] in _REJECTING else allowing,
        agents_name="" if name.casefold() == label.casefold() else name,
    )


def attributes_of(row: QuestionRow) -> list[tuple[str, str]]:
    attributes = [
        ("Task", row.task_title),
        ("Project", row.project_name),
        ("Risk", row.risk.capitalize()),
        ("Asked", _moment(row.opened_at)),
    ]
    if row.status.is_open and row.expires_at is not None:
        left = _duration(row.expires_at - utcnow())
        attributes.append(("Answer by", f"{_moment(row.expires_at)}, {left} left"))
    return [(name, value) for name, value in attributes if value]


def _moment(at: datetime) -> str:
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def _duration(left: timedelta) -> str:
    minutes = max(0, round(left.total_seconds() / 60))
    if minutes < 2:  # noqa: PLR2004 - else "1 minutes"
        return "a minute"
    hours = minutes // 60
    return f"{minutes} minutes" if hours < 2 else f"{hours} hours"  # noqa: PLR2004 - else "1 hours"


def form_of(question: QuestionRow) -> Form | None:
    """Return the form that an agent's question asks a person to fill, or None if its schema is not supported."""
    try:
        return read_form(question.detail, question.schema or {})
    except FormRefused:
        return None


def hint_of(question: FormQuestion) -> str:
    """Return what the page says of a field beside its text."""
    hints = dict.fromkeys((question.header, question.hint))
    return " · ".join(each for each in hints if each and each != question.text)


def defaults_of(question: FormQuestion) -> list[str]:
    """Return the choices of a field that are selected at first, or the text that it has."""
    values = question.default if isinstance(question.default, list) else [question.default]
    words = {True: YES, False: NO}
    return [words[each] if isinstance(each, bool) else str(each) for each in values if each is not None]


def content_of(form: Form, sent: Mapping[str, Sequence[str]]) -> JsonDict:
    """Convert the submitted fields of an HTML form to an answer: a value for each field name of the agent's form."""
    content: JsonDict = {}
    for question in form.questions:
        if texts := _sent(sent, question.name):
            content[question.name] = _value(question.type, texts)
        if question.companion and (texts := _sent(sent, question.companion)):
            content[question.companion] = texts[0]
    return content


def _sent(sent: Mapping[str, Sequence[str]], name: str) -> list[str]:
    return [text for text in sent.get(_PREFIX + name, ()) if text]


def _value(type_: str, texts: Sequence[str]) -> Any:
    match type_:
        case "array":
            return list(texts)
        case "boolean" if texts[0] in {YES, NO}:
            return texts[0] == YES
        case "integer" if (number := parse_integer(texts[0])) is not None:
            return number
        case "number":
            return _number(texts[0])
        case _:
            return texts[0]


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        # The check of the form reports the error.
        return text


def visible(value: Any) -> str:
    """Return a value as text in which a code such as ⟨U+202E⟩ replaces each invisible character."""
    return "".join(map(_escape, "" if value is None else str(value)))


def _escape(character: str) -> str:
    if character in _SPACES or character in _JOINERS or unicodedata.category(character) not in _HIDDEN:
        return character
    return f"⟨U+{ord(character):04X}⟩"
