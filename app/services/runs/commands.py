"""Accept commands to the agent of a live run, and store them for the run's worker (contract 6.4).

Everything is decided while the run's row is locked. The run's worker handles each command that is accepted before the
agent ends; a later command is refused. The worker's side is services/runs/received_commands.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.redis import RedisClient
from app.clock import utcnow
from app.enums import (
    AnswerVia,
    CommandMethod,
    CommandStatus,
    Environment,
    EventType,
    QuestionKind,
    QuestionStatus,
    RpcErrorCode,
    RunStatus,
)
from app.errors import StateRefused
from app.forms.errors import AnswerInvalid
from app.ids import new_id
from app.models import Run, RunCommand
from app.models.base import constant
from app.schemas.runs.commands import CommandIn, CommandOut, RpcError
from app.services.access.principal import Principal
from app.services.access.visibility import lock_run
from app.services.enqueueing import wake_run_worker_after_commit
from app.services.events.run_ledger import record_for_run, waiting_data
from app.services.questions import records as questions
from app.services.questions.answers import check_answer, describe_answer
from app.services.questions.follows import follow
from app.services.runs import authority as run_authority
from app.services.runs.authority import Intent, request_for_run
from app.services.runs.facts import AGENT_ENDED
from app.services.runs.received_commands import OPEN, REPEATED_REASON, show_waiting

# The most unsettled commands of a run, for an agent that is busy for hours.
MAX_OPEN = 100

_STOPS = frozenset({CommandMethod.CANCEL, CommandMethod.CLOSE})
_NO_QUESTION: RpcError = {
    "code": RpcErrorCode.INVALID_PARAMS,
    "message": "There is no such permission request, or it was answered already.",
}
_TOO_MANY: RpcError = {
    "code": RpcErrorCode.NOT_NOW,
    "message": f"{MAX_OPEN} commands wait for this agent already.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenAnswer:
    """An answer to a question of an agent: the command that delivers it, and the answer as people see it."""

    method: CommandMethod
    # As validated by app/schemas/runs/commands.py.
    params: dict[str, Any]
    # `option_id`, `action` with `content`, or `text`.
    shown: dict[str, Any]
    via: AnswerVia
    rpc_id: Any = None


class OpenQuestion(NamedTuple):
    """The fields of an open question of an agent that are needed to answer it."""

    id: UUID
    task_id: UUID
    run_id: UUID
    kind: str
    request_id: str


async def send_command(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    run_id: UUID,
    body: CommandIn,
    *,
    redis: RedisClient,
) -> CommandOut:
    """Store a command for the agent of a run, and wake the worker after the commit; return the JSON-RPC response.

    Only the first answer to a question is accepted; a later one, and one that does not fit, gets a response with a
    JSON-RPC error. A `cancel` changes nothing while an earlier `cancel` is still undelivered, and a `close` changes
    nothing while an earlier `close` is, unless that one is repeated for a new worker. If Redis is down, the worker
    finds the command at its next poll. Every member who can see the run may stop it by `cancel` or `close`.

    Raises:
        InvalidInput: the run acts with another member's GitHub account, and the command is not `cancel` or `close`.
        NotFound: there is no such run, or the caller cannot see it.
        StateRefused: no worker has a live agent of the run, or the run lacks a file that the command names.
        StateRefused: the run is in another member's private environment, and the command is not `cancel` or `close`.

    """
    run = await _lock_live(session, caller, task_id, run_id)
    if body.method not in _STOPS:
        await run_authority.authorize(session, request_for_run(Intent.STEER, caller.user_id, run))
    if body.method is CommandMethod.USER_MESSAGE:
        _require_artifacts(body.params["artifact_ids"], run.artifacts)
    if await _has_undelivered(session, run_id, body.method):
        return _response(body, result={"queued": True})
    if (refusal := await _take(session, caller, run_id, body)) is not None:
        return _response(body, error=refusal)
    await follow(session, caller, task_id)
    wake_run_worker_after_commit(session, redis, run_id)
    is_answer = body.method is CommandMethod.PERMISSION_RESPONSE
    return _response(body, result={"resolved" if is_answer else "queued": True})


async def answer_question(
    session: AsyncSession,
    caller: Principal,
    question: OpenQuestion,
    answer: GivenAnswer,
    *,
    redis: RedisClient,
) -> bool:
    """Answer a question of an agent: close it, and store the command that sends the answer to the agent.

    Return False, with nothing changed, if the question was closed before. The changes are made in the session's
    transaction, which the caller commits.

    Args:
        session: the database session.
        caller: the person that answers.
        question: the question to answer.
        answer: the answer, checked against what the question offers.
        redis: wakes the worker after the commit.

    Raises:
        InvalidInput: the run acts with another member's GitHub account.
        NotFound: there is no such run, or the caller cannot see it.
        StateRefused: no worker has a live agent of the run, or the run is in another member's private environment.

    """
    run = await _lock_live(session, caller, question.task_id, question.run_id)
    await run_authority.authorize(session, request_for_run(Intent.STEER, caller.user_id, run))
    if not await _close(session, caller.user_id, question, answer):
        return False
    await follow(session, caller, question.task_id)
    wake_run_worker_after_commit(session, redis, question.run_id)
    return True


async def _lock_live(session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID) -> Row[Any]:
    """Return the row of a run that has a live agent, locked. Raises NotFound or StateRefused."""
    ended = Run.facts.has_key(AGENT_ENDED).label("ended")
    columns = (ended, Run.lease_expires_at, *run_authority.HOLDINGS)
    run = await lock_run(session, caller, task_id, run_id, *columns)
    if not _is_live(run):
        raise StateRefused("No active sandbox for this task run")
    return run


def _is_live(run: Row[Any]) -> bool:
    return (
        run.status == RunStatus.IN_PROGRESS
        and run.environment == Environment.CLOUD
        and run.lease_expires_at is not None
        and run.lease_expires_at > utcnow()
        and not run.ended
    )


def _require_artifacts(ids: Sequence[str], artifacts: Sequence[Mapping[str, Any]]) -> None:
    known = {artifact["id"] for artifact in artifacts}
    missing = [artifact_id for artifact_id in dict.fromkeys(ids) if artifact_id not in known]
    if missing:
        raise StateRefused("Some artifact_ids are invalid for this run", missing_artifact_ids=missing)


async def _take(
    session: AsyncSession,
    caller: Principal,
    run_id: UUID,
    body: CommandIn,
) -> RpcError | None:
    """Store a command and close the question that it answers, if any; return the error if it is refused."""
    match body.method:
        case CommandMethod.PERMISSION_RESPONSE:
            return await _take_answer(session, caller, run_id, body)
        case CommandMethod.USER_MESSAGE:
            if await _has_too_many(session, run_id):
                return _TOO_MANY
            awaited = await questions.find_awaited_message(session, run_id)
            if awaited is not None:
                await _close(session, caller.user_id, awaited, _as_answer(caller, body))
                return None
            await _store_command(session, caller.user_id, run_id, _as_answer(caller, body))
        case CommandMethod.SET_CONFIG_OPTION:
            if await _has_too_many(session, run_id):
                return _TOO_MANY
            await _store_command(session, caller.user_id, run_id, _as_answer(caller, body))
        case CommandMethod.CANCEL | CommandMethod.CLOSE:
            await _store_command(session, caller.user_id, run_id, _as_answer(caller, body))
    return None


async def _take_answer(
    session: AsyncSession,
    caller: Principal,
    run_id: UUID,
    body: CommandIn,
) -> RpcError | None:
    question = await questions.find_question(session, run_id, body.params["request_id"])
    if question is None or question.status != QuestionStatus.OPEN:
        return _NO_QUESTION
    try:
        params = check_answer(question, body.params)
    except AnswerInvalid as invalid:
        return {"code": RpcErrorCode.INVALID_PARAMS, "message": str(invalid)}
    answer = _as_answer(caller, body, params)
    return None if await _close(session, caller.user_id, question, answer) else _NO_QUESTION


async def _has_too_many(session: AsyncSession, run_id: UUID) -> bool:
    counted = select(func.count()).select_from(RunCommand).where(RunCommand.run_id == run_id, OPEN)
    return (await session.scalar(counted) or 0) >= MAX_OPEN


def _as_answer(caller: Principal, body: CommandIn, params: dict[str, Any] | None = None) -> GivenAnswer:
    answer_params = params or body.params
    return GivenAnswer(
        method=body.method,
        params=answer_params,
        shown=describe_answer(answer_params),
        via=caller.answers_via,
        rpc_id=body.id,
    )


async def _has_undelivered(session: AsyncSession, run_id: UUID, method: CommandMethod) -> bool:
    """Return whether the method is `cancel` or `close`, and an earlier command of it to the run is undelivered."""
    if method not in _STOPS:
        return False
    same = select(RunCommand.id).where(
        RunCommand.run_id == run_id,
        RunCommand.method == method,
        # A delivered cancel concerns the turn at its delivery; a second cancel may concern the next turn.
        RunCommand.status == constant(CommandStatus.ACCEPTED),
        # One that is repeated does not stop the agent in its turn.
        RunCommand.reason.is_distinct_from(REPEATED_REASON),
    )
    return await session.scalar(same.limit(1)) is not None


async def _close(
    session: AsyncSession, user_id: int, question: OpenQuestion | Row[Any], answer: GivenAnswer
) -> bool:
    """Close a question with its answer and store the command, if this answer is the first; the run's row is locked."""
    command_id = new_id()
    closed = await questions.close_answered(
        session, question.id, answer=answer.shown, user_id=user_id, via=answer.via, command_id=command_id
    )
    if not closed:
        return False
    await _store_command(session, user_id, question.run_id, answer, command_id=command_id)
    await show_waiting(session, question.run_id)
    data = waiting_data(QuestionKind(question.kind), question.id)
    await record_for_run(session, question.run_id, EventType.RUN_RESUMED, [data])
    return True


async def _store_command(
    session: AsyncSession, user_id: int, run_id: UUID, answer: GivenAnswer, *, command_id: UUID | None = None
) -> None:
    await session.execute(
        insert(RunCommand).values(
            id=command_id or new_id(),
            run_id=run_id,
            method=answer.method,
            params=answer.params,
            rpc_id=answer.rpc_id,
            status=CommandStatus.ACCEPTED,
            user_id=user_id,
            created_at=utcnow(),
        )
    )


def _response(
    body: CommandIn, *, result: dict[str, bool] | None = None, error: RpcError | None = None
) -> CommandOut:
    """Return a JSON-RPC response; it has an id if the request has an id."""
    response: CommandOut = {"jsonrpc": "2.0"}
    if error is None:
        response["result"] = result or {}
    else:
        response["error"] = error
    if body.id is not None:
        response["id"] = body.id
    return response
