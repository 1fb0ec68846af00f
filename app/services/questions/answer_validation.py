"""Check answers to questions of agents: one place for all ways in which an answer comes (contract 15.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol  # Any: JSON

from app.dialogue.form_schemas import FormRefused, read_form
from app.dialogue.forms import REJECT, AnswerInvalid
from app.enums import AnswerVia, CommandMethod, QuestionKind, VerdictAnswer
from app.errors import no_more_than
from app.json_types import JsonDict
from app.schemas.runs.verifications import MAX_REASON
from app.services.access.principal import Principal

_SHOWN = ("option_id", "action", "content", "custom_input")
_SHOWN_CHARACTERS = 4000
_WAYS = {
    QuestionKind.PERMISSION: "option_id",
    QuestionKind.FORM: "action",
    QuestionKind.URL: "action",
    QuestionKind.MESSAGE: "text",
    QuestionKind.VERDICT: "option_id",
}


class Asked(Protocol):
    """What decides whether an answer fits a question."""

    @property
    def kind(self) -> QuestionKind: ...
    @property
    def request_id(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def options(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def schema(self) -> JsonDict | None: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that fits its question, as the command that sends it to the agent; without a method there is none."""

    method: CommandMethod | None
    params: JsonDict

    @property
    def shown(self) -> JsonDict:
        """The answer as people see it: `text`, cut to 4000 characters, or fields of `_SHOWN`."""
        if self.method is CommandMethod.USER_MESSAGE:
            return {"text": text_of(self.params.get("content"))[:_SHOWN_CHARACTERS]}
        return {name: self.params[name] for name in _SHOWN if name in self.params}


@dataclass(frozen=True, slots=True)
class Origin:
    """The person that answers a question or sends a command, and the way in which it came."""

    caller: Principal
    via: AnswerVia
    # For an answer by action token: its notification and device, and its client. Stored with the question.
    token: Mapping[str, Any] | None = None
    # For an answer by a command: the id of its request.
    rpc_id: Any = None


def read_answer(question: Asked, request: Mapping[str, object], *, is_command: bool = False) -> Answer:
    """Return the answer to a question that a request gives; raise AnswerInvalid if it does not fit.

    `request` has the fields of `ActionIn`. With `is_command` it has the parameters of a `permission_response`, which
    chooses an option also for a form, with `custom_input` or `answers` (by the texts of the fields), and for a page.
    """
    kind = question.kind
    way = "option_id" if is_command else _WAYS[kind]
    if request.get(way) is None:
        raise AnswerInvalid(f"A question of the kind {kind} takes {way}.", field=way)
    if way == "text":
        return Answer(CommandMethod.USER_MESSAGE, {"content": request["text"], "artifact_ids": []})
    names = (way, "custom_input", "answers")
    params: JsonDict = {"request_id": question.request_id}
    params |= {name: request[name] for name in names if request.get(name) is not None}
    if kind is QuestionKind.FORM:
        action, content = _answer_form(question, params, request.get("content"))
        params.pop("answers", None)
        params |= {"action": action, "content": content} if action == "accept" else {"action": action}
    elif request.get("content") is not None:
        raise AnswerInvalid(f"A question of the kind {kind} takes no content.", field="content")
    elif way == "option_id":
        offered = [option["id"] for option in question.options]
        if params["option_id"] not in offered:
            options = ", ".join(offered)
            raise AnswerInvalid(
                f"The request offers the options {options}.", field=way, code="invalid_choice"
            )
        if kind is QuestionKind.URL:
            params["action"] = "decline" if params["option_id"] == REJECT else "accept"
    if kind is QuestionKind.VERDICT:
        _require_reason(params)
        return Answer(None, params)
    return Answer(CommandMethod.PERMISSION_RESPONSE, params)


def _answer_form(question: Asked, params: Mapping[str, Any], content: Any) -> tuple[str, JsonDict]:
    if params.get("action", "accept") != "accept":
        return params["action"], {}
    try:
        return read_form(question.detail, question.schema or {}).answer({**params, "content": content})
    except FormRefused as refused:
        what = f"This form takes no answer but to decline it: {refused}."
        raise AnswerInvalid(what, field="content") from None
    except AnswerInvalid as invalid:
        raise AnswerInvalid(invalid.what, *invalid.place, field="content") from None


def _require_reason(params: Mapping[str, Any]) -> None:
    if params["option_id"] != VerdictAnswer.WAIVE:
        return
    reason = params.get("custom_input")
    if reason is None:
        raise AnswerInvalid("This field is required.", field="custom_input", code="required")
    if len(reason) > MAX_REASON:
        raise AnswerInvalid(no_more_than(MAX_REASON), field="custom_input", code="max_length")


def text_of(content: Any) -> str:
    """Return the text of a message, which is a text or content blocks."""
    if isinstance(content, list):
        return "\n".join(block["text"] for block in content if block.get("type") == "text")
    return content or ""
