"""The bodies of tasks, whose errors are reported in the order of the contract (2.3): some only after a look-up."""

from typing import Annotated

from fastapi import Depends, Request
from typing_extensions import override

from app.errors import AppError, InvalidInput
from app.schemas.tasks import TaskCreateIn, TaskIn
from app.services.access.visibility import require_task
from app.services.tasks import task_writing
from app.web.body import BodyReader, Model, read_json
from app.web.dependencies import call_of, task_id_of


class _TaskReader(BodyReader[Model]):
    """Reads a task. A wrong reference in a field before the first invalid one is reported first."""

    @override
    async def __call__(self, request: Request) -> Model:
        try:
            return await super().__call__(request)
        except InvalidInput as error:
            call, wrong = call_of(request), (error.attr or "").partition("__")[0]
            await task_writing.require_references_before(
                call.session, call.caller, await read_json(request), wrong
            )
            raise


class _ChangeReader(_TaskReader[Model]):
    """Reads changes to a task. With an invalid body for an unknown task, the task is reported as not found."""

    @override
    async def __call__(self, request: Request) -> Model:
        try:
            return await super().__call__(request)
        except AppError:
            call = call_of(request)
            await require_task(call.session, call.caller, task_id_of(request))
            raise


TaskBody = Annotated[TaskCreateIn, Depends(_TaskReader(TaskCreateIn))]
TaskChange = Annotated[TaskIn, Depends(_ChangeReader(TaskIn))]
