"""Answers to questions: what people see of them (contract 15.3)."""

from collections.abc import Mapping
from typing import Any  # JSON

_SHOWN = ("option_id", "action", "content", "custom_input")
_SHOWN_CHARACTERS = 4000


def shown_answer(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer that a command gives, by its params, as a question keeps it."""
    if "artifact_ids" in params:
        return {"text": _text_of(params.get("content"))[:_SHOWN_CHARACTERS]}
    return {name: params[name] for name in _SHOWN if name in params}


def _text_of(content: Any) -> str:
    """Return a message as text, without its blocks that are none."""
    if isinstance(content, list):
        return "\n".join(block["text"] for block in content if block.get("type") == "text")
    return content or ""
