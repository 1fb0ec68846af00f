"""Accept commands to the agent of a live run, and store them for the run's worker (contract 6.4).

Everything is decided while the run's row is locked. The run's worker handles each command that is accepted before the
agent ends; a later command is refused. The worker's side is services/runs/command_delivery.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.dialogue.forms import AnswerInvalid
from app.enums import STOPS, CommandMethod, CommandStatus, RpcErrorCode, ServiceMethod
from app.errors import StateRefused
from app.ids import new_id
from app.models import RunCommand
from app.models.base import constant
from app.schemas.runs.commands import CommandIn, CommandOut, QueuedMessages, RpcError
from app.services.access.principal import Principal
from app.services.enqueueing import wake_run_worker_after_commit
from app.services.events.activity_notes import note_message
from app.services.opened_clients import ServiceClients
from app.services.questions import question_lifecycle
from app.services.questions.answer_validation import Answer, Origin, read_answer, text_of
from app.services.run_log.log_entries import announce_entries
from app.services.runs.command_delivery import OPEN, REPEATED_REASON, CommandRow, clear_queue, read_queue
from app.services.runs.run_authority import lock_to_steer
from app.services.runs.run_edits import cancel_checks
from app.services.runs.verification_attempts.verification_requests import skip as skip_verification
from app.services.tasks.follows import follow_if_visible

# The most unsettled commands of a run, for an agent that is busy for hours.
MAX_OPEN = 100

_NO_QUESTION: RpcError = {
    "code": RpcErrorCode.INVALID_PARAMS,
    "message": "There is no such permission request, or it was answered already.",
}
_TOO_MANY: RpcError = {
    "code": RpcErrorCode.NOT_NOW,
    "message": f"{MAX_OPEN} commands wait for this agent already.",
}


async def send_command(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    run_id: UUID,
    body: CommandIn,
    clients: ServiceClients,
) -> CommandOut:
    """Store a command for the agent of a run, and wake the worker after the commit; return the JSON-RPC response.

    A run whose work is being checked has no agent: `skip_verification` ends the checks, and `cancel` cancels the run.
    Raises as `lock_to_steer`, and StateRefused if the run lacks a file that the command names.
    """
    arguments = (session, caller, task_id, run_id)
    if body.method is ServiceMethod.SKIP_VERIFICATION:
        await skip_verification(*arguments, clients)
        return _response(body, result={"skipped": True})
    if body.method is CommandMethod.CANCEL and await cancel_checks(*arguments, clients):
        return _response(body, result={"queued": True})
    run = await lock_to_steer(session, caller, task_id, run_id, is_stop=body.method in STOPS)
    origin = Origin(caller, caller.answers_via, rpc_id=body.id)
    result: dict[str, bool] | QueuedMessages = {"queued": True}
    refusal: RpcError | None = None
    match body.method:
        case ServiceMethod.QUEUE_GET:
            return _response(body, result=_queued_messages(await read_queue(session, run_id)))
        case ServiceMethod.QUEUE_CLEAR:
            cleared = await clear_queue(session, run_id, body.params.get("command_id"))
            announce_entries(session, clients.events, [(run_id, each.receipt_of_drop) for each in cleared])
            result = _queued_messages(cleared)
        case CommandMethod.PERMISSION_RESPONSE:
            result, refusal = {"resolved": True}, await _answer(session, run_id, body, origin)
        case CommandMethod.USER_MESSAGE:
            _require_artifacts(body.params["artifact_ids"], run.artifacts)
            refusal = await _take(session, task_id, run_id, body, origin)
        case CommandMethod.CANCEL | CommandMethod.CLOSE | CommandMethod.SET_CONFIG_OPTION:
            if await _has_undelivered(session, run_id, body.method):
                return _response(body, result=result)
            refusal = await _take(session, task_id, run_id, body, origin)
    if refusal is not None:
        return _response(body, error=refusal)
    await follow_if_visible(session, caller, task_id)
    wake_run_worker_after_commit(session, clients.redis, run_id)
    return _response(body, result=result)


def _queued_messages(messages: Sequence[CommandRow]) -> QueuedMessages:
    queued: QueuedMessages = {"steering": [], "followUp": [], "messages": []}
    for sent in messages:
        content, files = text_of(sent.params.get("content")), sent.params["artifact_ids"]
        queued["steering" if sent.params.get("steer") else "followUp"].append(content)
        queued["messages"].append(
            {"command_id": str(sent.id), "id": sent.rpc_id, "text": content, "artifact_ids": files}
        )
    return queued


def _require_artifacts(ids: Sequence[str], artifacts: Sequence[Mapping[str, Any]]) -> None:
    known = {artifact["id"] for artifact in artifacts}
    missing = [artifact_id for artifact_id in dict.fromkeys(ids) if artifact_id not in known]
    if missing:
        raise StateRefused("Some artifact_ids are invalid for this run", missing_artifact_ids=missing)


async def _answer(session: AsyncSession, run_id: UUID, body: CommandIn, origin: Origin) -> RpcError | None:
    question = await question_lifecycle.find_by_request(session, run_id, body.params["request_id"])
    if question is None:
        return _NO_QUESTION
    try:
        answer = read_answer(question, body.params, is_command=True)
    except AnswerInvalid as invalid:
        return {"code": RpcErrorCode.INVALID_PARAMS, "message": str(invalid)}
    # The first answer counts.
    is_first = await question_lifecycle.close_question(session, question.id, answer, origin)
    return None if is_first else _NO_QUESTION


async def _take(
    session: AsyncSession, task_id: UUID, run_id: UUID, body: CommandIn, origin: Origin
) -> RpcError | None:
    if body.method not in STOPS and await _has_too_many(session, run_id):
        return _TOO_MANY
    if body.method is CommandMethod.USER_MESSAGE:
        awaited = await question_lifecycle.find_awaited_message(session, run_id)
        message = Answer(body.method, body.params)
        if awaited and await question_lifecycle.close_question(session, awaited.id, message, origin):
            return None
    command_id, now, user_id = new_id(), utcnow(), origin.caller.user_id
    sent = insert(RunCommand).values(
        id=command_id,
        run_id=run_id,
        method=body.method,
        params=body.params,
        rpc_id=body.id,
        status=CommandStatus.ACCEPTED,
        user_id=user_id,
        created_at=now,
    )
    if body.method is CommandMethod.USER_MESSAGE:
        sent = sent.add_cte(note_message(task_id, at=now, by=user_id, command_id=command_id))
    await session.execute(sent)
    return None


async def _has_too_many(session: AsyncSession, run_id: UUID) -> bool:
    counted = select(func.count()).select_from(RunCommand).where(RunCommand.run_id == run_id, OPEN)
    return (await session.scalar(counted) or 0) >= MAX_OPEN


async def _has_undelivered(session: AsyncSession, run_id: UUID, method: str) -> bool:
    if method not in STOPS:
        return False
    same = select(RunCommand.id).where(
        RunCommand.run_id == run_id,
        RunCommand.method == method,
        # A delivered cancel concerns the turn at its delivery; a second cancel may concern the next turn.
        RunCommand.status == constant(CommandStatus.ACCEPTED),
        # A repeated `close` takes effect after the agent's turn; a new one stops the turn.
        RunCommand.reason.is_distinct_from(REPEATED_REASON),
    )
    return await session.scalar(same.limit(1)) is not None


def _response(
    body: CommandIn, *, result: dict[str, bool] | QueuedMessages | None = None, error: RpcError | None = None
) -> CommandOut:
    response: CommandOut = {"jsonrpc": "2.0"}
    if error is None:
        response["result"] = result or {}
    else:
        response["error"] = error
    if body.id is not None:
        response["id"] = body.id
    return response
