"""The arguments of tool calls: what is wrong with them, and texts that people can read."""

from collections.abc import Callable

from pydantic import ValidationError


class WrongArguments(Exception):
    """The arguments of a tool call do not match the schema; the message is sent to the agent."""


def wrong(error: ValidationError) -> WrongArguments:
    """Return the error of a tool call whose arguments Pydantic refuses: the first fault."""
    first = error.errors(include_url=False, include_input=False)[0]
    return WrongArguments(f"{'.'.join(map(str, first['loc'])) or 'arguments'}: {first['msg']}")


def in_one_line(text: str, mask: Callable[[str], str]) -> str:
    """Return a text masked and in one line, without what could make a secret or a sender look different."""
    line = " ".join(mask(text).split())
    return mask("".join(character for character in line if character.isprintable()))
