"""Example bodies and answers of the published description, one entry for each operation.

They cannot drift from the service: answers have the types of `app.schemas` and pass through its encoder.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from app.web.answers import Json
from app.web.openapi.examples.account import ACCOUNT_EXAMPLES
from app.web.openapi.examples.artifacts import ARTIFACT_EXAMPLES
from app.web.openapi.examples.commands import COMMAND_EXAMPLES
from app.web.openapi.examples.operation import OperationExamples
from app.web.openapi.examples.push import PUSH_EXAMPLES
from app.web.openapi.examples.runs import RUN_EXAMPLES
from app.web.openapi.examples.sandbox_environments import SANDBOX_ENVIRONMENT_EXAMPLES
from app.web.openapi.examples.tasks import TASK_EXAMPLES
from app.web.openapi.examples.webhooks import WEBHOOK_EXAMPLES

__all__ = ["EXAMPLES", "OperationExamples", "on_the_wire"]

EXAMPLES: Mapping[str, OperationExamples] = {
    **ACCOUNT_EXAMPLES,
    **TASK_EXAMPLES,
    **RUN_EXAMPLES,
    **COMMAND_EXAMPLES,
    **ARTIFACT_EXAMPLES,
    **SANDBOX_ENVIRONMENT_EXAMPLES,
    **PUSH_EXAMPLES,
    **WEBHOOK_EXAMPLES,
}


def on_the_wire(value: Any) -> Any:
    """Return the JSON that a client would get for this answer."""
    return orjson.loads(Json(value).body)
