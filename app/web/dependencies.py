"""Give routes the resources of their request: clients, session, caller, and ids of the path.

Dependencies are `async` and take only the request: FastAPI would call a plain function in a thread, and would resolve
nested dependencies again at each use. Both cost more than the work here (ADR 71).
"""

import time
from collections.abc import Awaitable, Callable
from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import MethodNotAllowed, NotFound
from app.runtime import ProcessContext
from app.schemas.fields import parse_uuid
from app.services.access.principal import Principal
from app.services.accounts.project_overview import find_warnings
from app.web.asgi_keys import CALL, SESSION


class Call(NamedTuple):
    """An authorised request, as a route receives it: the caller, the database session and the process's clients."""

    # The request refers to the call, not the reverse: to free a cycle would cost a tenth of the time of a read.
    caller: Principal
    session: AsyncSession
    process: ProcessContext


def process_of(request: Request) -> ProcessContext:
    process: ProcessContext = request.app.state.process
    return process


def root_of(request: Request) -> str:
    root: str = request.scope.get("root_path", "")
    return root.rstrip("/")


def session_of(request: Request) -> AsyncSession:
    """Return the database session of a request. `UnitRoute` commits its transaction before the response is sent."""
    session: AsyncSession = request.scope[SESSION]
    return session


def call_of(request: Request) -> Call:
    """Return the `Call` of a request, which the dependency that authorises the caller (a `ScopeGate`) has stored."""
    call: Call = request.scope[CALL]
    return call


def path_uuid(request: Request, name: str) -> UUID:
    parsed = parse_uuid(request.path_params[name])
    if parsed is None:
        raise NotFound
    return parsed


# The fixed paths that stand where other paths have the id of a task.
_BESIDE_TASKS = frozenset({"bulk", "models", "pinned", "repositories", "search", "summaries"})


def task_id_of(request: Request) -> UUID:
    name = request.path_params["task_id"]
    if name in _BESIDE_TASKS and request.scope["path"].endswith(name):
        raise MethodNotAllowed(request.method)
    return path_uuid(request, "task_id")


async def _task_id(request: Request) -> UUID:
    return task_id_of(request)


def _reader(name: str) -> Callable[[Request], Awaitable[UUID]]:
    async def read(request: Request) -> UUID:
        return path_uuid(request, name)

    return read


async def _artifact_id(request: Request) -> str:
    artifact_id: str = request.path_params["artifact_id"]
    return artifact_id


async def _public_url(request: Request) -> str:
    return process_of(request).settings.public_url or str(request.base_url)


async def _check_set_warnings(request: Request) -> list[str]:
    process = process_of(request)
    return await find_warnings(process.redis, process.settings)


async def _started_at() -> float:
    return time.perf_counter()


TASK_URL = "/api/projects/{project_id}/tasks/{task_id}"
RUN_URL = f"{TASK_URL}/runs/{{run_id}}"

ArtifactId = Annotated[str, Depends(_artifact_id)]
CheckSetWarnings = Annotated[list[str], Depends(_check_set_warnings)]
CheckSetId = Annotated[UUID, Depends(_reader("set_id"))]
DeliveryId = Annotated[UUID, Depends(_reader("delivery_id"))]
DeviceId = Annotated[UUID, Depends(_reader("device_id"))]
EndpointId = Annotated[UUID, Depends(_reader("endpoint_id"))]
EnvironmentId = Annotated[UUID, Depends(_reader("environment_id"))]
KeyId = Annotated[UUID, Depends(_reader("key_id"))]
PublicUrl = Annotated[str, Depends(_public_url)]
QuestionId = Annotated[UUID, Depends(_reader("question_id"))]
SessionId = Annotated[UUID, Depends(_reader("session_id"))]
TaskId = Annotated[UUID, Depends(_task_id)]
RunId = Annotated[UUID, Depends(_reader("run_id"))]
# For `server_timing`.
StartedAt = Annotated[float, Depends(_started_at)]
