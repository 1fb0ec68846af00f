"""Check answers to questions of agents, and describe them for people (contract 15.3)."""

from collections.abc import Mapping
from typing import Any  # JSON

from sqlalchemy import Row

from app.enums import QuestionKind
from app.forms.errors import AnswerInvalid, FormRefused
from app.forms.form import REJECT
from app.forms.reading import read_form

_SHOWN = ("option_id", "action", "content", "custom_input")
_SHOWN_CHARACTERS = 4000
# Answers to a page, beside its options.
_ACTIONS = frozenset({"accept", "decline"})


def check_answer(question: Row[Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Check an answer to a question; return the parameters of the command that sends it to the agent.

    The kind of the question must be a permission, a form or a page to open.

    Args:
        question: a row with `request_id`, `kind`, `options`, `detail` and `schema`.
        params: the answer. `option_id` is the id of one of the question's options, which forms and pages have too. For
            a form, `answers` (by the texts of the form's fields) and `custom_input` (a free text) may complete it. For
            forms and pages, `action` can take the place of `option_id`, for a form with `content` (the values by
            field).

    Raises:
        AnswerInvalid: the answer does not fit the question; the message says where the content is wrong.

    """
    command_params = {**params, "request_id": question.request_id}
    if question.kind == QuestionKind.FORM:
        action, content = answer_form(question.detail, question.schema, params)
        command_params |= {"action": action, "content": content} if action == "accept" else {"action": action}
        command_params.pop("answers", None)
        return command_params
    offered = [option["id"] for option in question.options]
    if question.kind == QuestionKind.URL and "option_id" not in params and params.get("action") in _ACTIONS:
        return command_params
    if params.get("option_id") not in offered:
        raise AnswerInvalid(f"The request offers the options {', '.join(offered)}.")
    if question.kind == QuestionKind.URL:
        command_params["action"] = "decline" if params["option_id"] == REJECT else "accept"
    return command_params


def answer_form(
    message: str, schema: Mapping[str, Any] | None, params: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Check a person's answer to a form; return it as the action and the content for the agent's protocol.

    The action is `accept`, `decline` or `cancel`. The content, the values by field, is empty unless the action is
    `accept`.

    Args:
        message: the text of the form.
        schema: the JSON Schema of the form's fields.
        params: the parameters of the answer. Either `action`, with `content` if the action is `accept`. Or, from
            clients that show a form as a permission request, `option_id`: an id of `Form.options`, which are the
            choices of the first field, and an option that declines the form. It may come with `custom_input`, a text
            for the first field, or with `answers`, which maps the text of each question of the form to its answer.

    Raises:
        AnswerInvalid: the content does not fit the form, or the form can only be declined.

    """
    if params.get("action", "accept") != "accept":
        return params["action"], {}
    try:
        form = read_form(message, schema or {})
    except FormRefused as refused:
        raise AnswerInvalid(f"This form takes no answer but to decline it: {refused}.") from None
    return form.answer(params)


def describe_answer(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer as people see it and as the question's row stores it: a dictionary of one or more fields.

    `params` are the parameters of the command that sends the answer to the agent. If the answer is a message to the
    agent, the only field is `text`, cut to 4000 characters. Otherwise the fields are those of `option_id`, `action`,
    `content` and `custom_input` that `params` has.
    """
    if "artifact_ids" in params:
        return {"text": _text_of(params.get("content"))[:_SHOWN_CHARACTERS]}
    return {name: params[name] for name in _SHOWN if name in params}


def _text_of(content: Any) -> str:
    """Join the text blocks of a message."""
    if isinstance(content, list):
        return "\n".join(block["text"] for block in content if block.get("type") == "text")
    return content or ""
