"""The body of a task; its references are checked with their fields (contract 2.4).

Whether a reference exists is said before a later field that is wrong, so what stands before the first wrong field
is looked up while the failure is on its way.
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
    """Reads a task; stands behind the gate of its caller."""

    @override
    async def __call__(self, request: Request) -> Any:
        """Return the body, or raise what is wrong with the first field that is."""
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
    """Reads what is to change of the task of the path; stands behind the gate of its caller.

    A task that the caller does not see is answered before a body that is wrong (contract 2.3). So only then is it looked
    up here: the statement that changes it finds out by itself.
    """

    @override
    async def __call__(self, request: Request) -> Any:
        """Return the body, or raise that there is no such task or what is wrong with the first field that is."""
        try:
            return await super().__call__(request)
        except AppError:
            call = call_of(request)
            await access.require_task(call.session, call.caller, task_id_of(request))
            raise


TaskBody = Annotated[TaskIn, Depends(_TaskReader(TaskIn))]
TaskChange = Annotated[TaskIn, Depends(_ChangeReader(TaskIn))]
