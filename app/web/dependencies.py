"""What endpoints ask for in their signatures: the unit of work, the clients of the process, ids of the path.

All of it is `async`, also what waits for nothing: FastAPI takes anything else to a thread and back, at each request,
which costs more than answering most of them.
"""

from collections.abc import AsyncGenerator
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.object_store import ObjectStore
from app.clients.queue import JobQueue
from app.db import unit_of_work
from app.errors import MethodNotAllowed, NotFound
from app.runtime import ProcessContext
from app.schemas.fields import parse_uuid
from app.security import Cipher
from app.services.tasks.pages import KnownLists

__all__ = [
    "CipherDep",
    "DeliveryId",
    "EndpointId",
    "EnvironmentId",
    "ListsDep",
    "ProcessDep",
    "QueueDep",
    "RunId",
    "SessionDep",
    "StoreDep",
    "TaskId",
]


async def _process(request: Request) -> ProcessContext:
    process: ProcessContext = request.app.state.process
    return process


ProcessDep = Annotated[ProcessContext, Depends(_process)]


async def _session(process: ProcessDep) -> AsyncGenerator[AsyncSession, None]:
    async with unit_of_work(process.sessions) as session:
        yield session


# Function scope: commit after the answer is made and before it is sent, so that no client is told a lie.
SessionDep = Annotated[AsyncSession, Depends(_session, scope="function")]


async def _store(process: ProcessDep) -> ObjectStore:
    return process.store


async def _queue(process: ProcessDep) -> JobQueue:
    return process.queue


async def _lists(process: ProcessDep) -> KnownLists:
    return process.lists


async def _cipher(process: ProcessDep) -> Cipher:
    return process.cipher


CipherDep = Annotated[Cipher, Depends(_cipher)]
StoreDep = Annotated[ObjectStore, Depends(_store)]
ListsDep = Annotated[KnownLists, Depends(_lists)]
QueueDep = Annotated[JobQueue, Depends(_queue)]


# Paths that stand where the id of a task does.
_BESIDE_TASKS = frozenset({"repositories", "summaries"})


def _path_uuid(value: str) -> UUID:
    parsed = parse_uuid(value)
    if parsed is None:
        # A malformed id names nothing: 404, never 400 (contract 2.1).
        raise NotFound
    return parsed


async def _task_id(request: Request, task_id: str) -> UUID:
    if task_id in _BESIDE_TASKS and request.scope["path"].endswith(task_id):
        # The path exists, with other methods than those of a task (contract 2.1).
        raise MethodNotAllowed(request.method)
    return _path_uuid(task_id)


async def _run_id(run_id: str) -> UUID:
    return _path_uuid(run_id)


async def _environment_id(environment_id: str) -> UUID:
    return _path_uuid(environment_id)


async def _endpoint_id(endpoint_id: str) -> UUID:
    return _path_uuid(endpoint_id)


async def _delivery_id(delivery_id: str) -> UUID:
    return _path_uuid(delivery_id)


DeliveryId = Annotated[UUID, Depends(_delivery_id)]
EndpointId = Annotated[UUID, Depends(_endpoint_id)]
EnvironmentId = Annotated[UUID, Depends(_environment_id)]
TaskId = Annotated[UUID, Depends(_task_id)]
RunId = Annotated[UUID, Depends(_run_id)]
