"""Read the body of a task; references to other rows are checked together with the fields (contract 2.4).

A reference that does not exist is reported before a later invalid field. So the references before the first
invalid field are looked up before that field's error is raised.
"""

from typing import Annotated, Any

from fastapi import Depends, Request
from typing_extensions import override

from app.errors import AppError, InvalidInput
from app.schemas.tasks import TaskIn
from app.services.access import visibility as access
from app.services.tasks.references import require_references
from app.web.body import BodyReader, read_json
from app.web.dependencies import call_of, task_id_of

_FIELDS = tuple(TaskIn.model_fields)


class _TaskReader(BodyReader):
    """Dependency, after the gate, that reads and validates the body of a new task."""

    @override
    async def __call__(self, request: Request) -> Any:
        """Return the validated body of a new task. Raises the error of the first invalid field."""
        try:
            return await super().__call__(request)
        except InvalidInput as error:
            wrong = (error.attr or "").partition("__")[0]
            if wrong in _FIELDS:
                data = await read_json(request)
                before = {name: data[name] for name in _FIELDS[: _FIELDS.index(wrong)] if name in data}
                call = call_of(request)
                task = TaskIn.model_validate(before)
                await require_references(call.session, call.caller, task, updating=True)
            raise


class _ChangeReader(_TaskReader):
    """Dependency, after the gate, that reads and validates the changes to the task in the path.

    A missing task is reported before an invalid body (contract 2.3), so the task is looked up here if the
    body is invalid. For a valid body, the statement that changes the task finds out by itself.
    """

    @override
    async def __call__(self, request: Request) -> Any:
        """Return the changes.

        Raises NotFound if there is no such task, or else the error of the first invalid field.
        """
        try:
            return await super().__call__(request)
        except AppError:
            call = call_of(request)
            await access.require_task(call.session, call.caller, task_id_of(request))
            raise


TaskBody = Annotated[TaskIn, Depends(_TaskReader(TaskIn))]
TaskChange = Annotated[TaskIn, Depends(_ChangeReader(TaskIn))]
