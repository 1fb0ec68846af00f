"""Describes tools, and reads the arguments of their calls."""

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from app.json_types import JsonDict

_Arguments = TypeVar("_Arguments", bound=BaseModel)


class WrongArguments(Exception):
    """The arguments of a tool call do not match the schema; the message is sent to the agent."""


def describe(
    name: str, title: str, description: str, arguments: type[BaseModel], answer: dict[str, str]
) -> JsonDict:
    """Return a tool as the answer to `tools/list` has it; `answer`: the types of its fields, the first required."""
    fields = {field: {"type": kind} for field, kind in answer.items()}
    return {
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": {**arguments.model_json_schema(), "title": name},
        "outputSchema": {"type": "object", "properties": fields, "required": [*answer][:1]},
        # Without this, Claude Code shows a tool to its model only when the model searches for tools.
        "_meta": {"anthropic/alwaysLoad": True},
        "annotations": {"readOnlyHint": False, "destructiveHint": False, "openWorldHint": False},
    }


def read(model: type[_Arguments], arguments: object) -> _Arguments:
    """Return the arguments of a call. Raises WrongArguments with the first fault."""
    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "arguments"
        raise WrongArguments(f"{place}: {first['msg']}") from None


def in_one_line(text: str, mask: Callable[[str], str]) -> str:
    """Return a text masked and in one line, without what could make a secret or a sender look different."""
    line = " ".join(mask(text).split())
    return mask("".join(character for character in line if character.isprintable()))
