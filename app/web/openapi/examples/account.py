"""What an account and its operators see: the caller, projects, health."""

from collections.abc import Mapping

from app.errors import MethodNotAllowed
from app.schemas.health import LivenessOut, ReadinessOut
from app.web.openapi.examples.documents import CALLER, PROJECT
from app.web.openapi.examples.operation import OperationExamples, page

__all__ = ["ACCOUNT_EXAMPLES"]

ALIVE: LivenessOut = {"status": "ok"}
READY: ReadinessOut = {"status": "ok", "database": "ok", "redis": "ok", "object_store": "ok"}

_WRONG_METHOD = (MethodNotAllowed("POST", frozenset({"GET"})),)

ACCOUNT_EXAMPLES: Mapping[str, OperationExamples] = {
    "livez": OperationExamples(answer=ALIVE, failures=_WRONG_METHOD),
    "readyz": OperationExamples(answer=READY, failures=_WRONG_METHOD),
    "metrics": OperationExamples(
        answer='taskbeacon_http_requests_total{method="GET",route="/livez",status="200"} 1.0\n',
        failures=_WRONG_METHOD,
    ),
    "users_me_retrieve": OperationExamples(answer=CALLER),
    "projects_list": OperationExamples(answer=page(PROJECT)),
}
