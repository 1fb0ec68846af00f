"""What is shown for one operation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from app.errors import AppError, RequestRefused

__all__ = ["OperationExamples", "page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationExamples:
    """What to show for one operation."""

    answer: Any = None
    # Bodies to send, by what they are examples of.
    bodies: Mapping[str, Any] = field(default_factory=dict)
    # Input that the model refuses; the description shows the answer to it.
    refused: tuple[type[BaseModel], dict[str, Any]] | None = None
    # Answers that are not the envelope.
    refusals: Mapping[str, RequestRefused] = field(default_factory=dict)
    # What an operation without a gate refuses, in the envelope.
    failures: tuple[AppError, ...] = ()


def page(item: Any) -> dict[str, Any]:
    """Return a page that holds just this."""
    return {"count": 1, "next": None, "previous": None, "results": [item]}
