"""Commands to the agent of a live run: taken, kept as rows, and read by the worker that holds the run (contract 6.4).

Everything is decided under the lock of the run's row: what is taken before the agent's end is settled by its worker,
and what comes later is refused. The worker's side is services/runs/inbox.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.redis import RedisClient
from app.clock import utcnow
from app.enums import CommandMethod, CommandStatus, Environment, EventType, RunStatus
from app.errors import StateRefused
from app.ids import new_id
from app.models import Run, RunCommand
from app.schemas.runs.commands import CommandIn, CommandOut, RpcError
from app.services.access.principal import Principal
from app.services.access.visibility import lock_run
from app.services.events.of_runs import record_of_run, waiting_data
from app.services.jobs import wake_run_worker
from app.services.runs import authority as run_authority
from app.services.runs.authority import Way, ask_of
from app.services.runs.facts import AGENT_ENDED, WAITING_FOR, without_fact
from app.services.runs.inbox import OPEN

# Commands of a run that its agent is not done with; an agent that is busy for hours must not gather more.
MAX_OPEN = 100

_STOPS = frozenset({CommandMethod.CANCEL, CommandMethod.CLOSE})
_NOT_NOW = -32000
_INVALID_PARAMS = -32602


async def send_command(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    run_id: UUID,
    body: CommandIn,
    *,
    redis: RedisClient,
) -> CommandOut:
    """Keep a command for the agent of a run and wake its worker after the commit; return the JSON-RPC response.

    A permission request is answered by the first one who does. A second `cancel` or `close` that finds one on its way
    adds nothing. An outage of Redis delays the command until the worker's next look.

    `cancel` and `close` are taken from everyone who sees the run: any member may stop it.

    Raises:
        InvalidInput: the run acts with another member's GitHub account.
        NotFound: there is no such run for this caller.
        StateRefused: no worker has an agent for this run now, the run does not have one of the files, or it is in
            another member's private environment.

    """
    waiting_for = Run.facts[WAITING_FOR].label("waiting_for")
    ended = Run.facts.has_key(AGENT_ENDED).label("ended")
    columns = (waiting_for, ended, Run.lease_expires_at, *run_authority.HOLDINGS)
    run = await lock_run(session, caller, task_id, run_id, *columns)
    if not _is_live(run):
        raise StateRefused("No active sandbox for this task run")
    if body.method not in _STOPS:
        await run_authority.authorize(session, ask_of(Way.STEER, caller.user_id, run))
    if body.method is CommandMethod.USER_MESSAGE:
        _require_artifacts(body.params["artifact_ids"], run.artifacts)
    if await _is_on_its_way(session, run_id, body.method):
        return _response(body, result={"queued": True})
    if (refusal := await _refusal(session, run_id, body, run.waiting_for)) is not None:
        return _response(body, error=refusal)
    await _keep(session, caller, run_id, body)
    if _is_awaited(body.method, run.waiting_for):
        await session.execute(
            update(Run).where(Run.id == run_id).values(facts=without_fact(WAITING_FOR), updated_at=utcnow())
        )
        await record_of_run(session, run_id, EventType.RUN_RESUMED, [waiting_data(run.waiting_for)])
    wake_run_worker(session, redis, run_id)
    is_answer = body.method is CommandMethod.PERMISSION_RESPONSE
    return _response(body, result={"resolved" if is_answer else "queued": True})


def _is_live(run: Row[Any]) -> bool:
    return (
        run.status == RunStatus.IN_PROGRESS
        and run.environment == Environment.CLOUD
        and run.lease_expires_at is not None
        and run.lease_expires_at > utcnow()
        and not run.ended
    )


def _require_artifacts(wanted: Sequence[str], artifacts: Sequence[Mapping[str, Any]]) -> None:
    known = {artifact["id"] for artifact in artifacts}
    missing = [artifact_id for artifact_id in dict.fromkeys(wanted) if artifact_id not in known]
    if missing:
        raise StateRefused("Some artifact_ids are invalid for this run", missing_artifact_ids=missing)


async def _refusal(
    session: AsyncSession, run_id: UUID, body: CommandIn, waiting_for: Mapping[str, Any] | None
) -> RpcError | None:
    match body.method:
        case CommandMethod.PERMISSION_RESPONSE:
            return _refuse_answer(body.params, waiting_for)
        case CommandMethod.USER_MESSAGE | CommandMethod.SET_CONFIG_OPTION:
            counted = select(func.count()).select_from(RunCommand).where(RunCommand.run_id == run_id, OPEN)
            if (await session.scalar(counted) or 0) < MAX_OPEN:
                return None
            return {"code": _NOT_NOW, "message": f"{MAX_OPEN} commands wait for this agent already."}
        case CommandMethod.CANCEL | CommandMethod.CLOSE:
            return None


def _refuse_answer(params: Mapping[str, Any], waiting_for: Mapping[str, Any] | None) -> RpcError | None:
    if waiting_for is None or waiting_for.get("request_id") != params["request_id"]:
        return {
            "code": _INVALID_PARAMS,
            "message": "There is no such permission request, or it was answered already.",
        }
    offered = [option["optionId"] for option in waiting_for["options"]]
    if params["option_id"] in offered:
        return None
    return {"code": _INVALID_PARAMS, "message": f"The request offers the options {', '.join(offered)}."}


async def _is_on_its_way(session: AsyncSession, run_id: UUID, method: CommandMethod) -> bool:
    """Return whether the command says nothing new."""
    if method not in _STOPS:
        return False
    same = select(RunCommand.id).where(
        RunCommand.run_id == run_id,
        RunCommand.method == method,
        # A cancel that was given to the agent is about its turn of then; another one may mean the next.
        RunCommand.status == CommandStatus.ACCEPTED,
    )
    return await session.scalar(same.limit(1)) is not None


async def _keep(session: AsyncSession, caller: Principal, run_id: UUID, body: CommandIn) -> None:
    await session.execute(
        insert(RunCommand).values(
            id=new_id(),
            run_id=run_id,
            method=body.method,
            params=body.params,
            rpc_id=body.id,
            status=CommandStatus.ACCEPTED,
            user_id=caller.user_id,
            created_at=utcnow(),
        )
    )


def _is_awaited(method: CommandMethod, waiting_for: Mapping[str, Any] | None) -> bool:
    """Return whether the agent stops waiting because of this command."""
    kind = None if waiting_for is None else waiting_for.get("kind")
    match method:
        case CommandMethod.USER_MESSAGE:
            return kind == "message"
        case CommandMethod.PERMISSION_RESPONSE:
            return kind == "permission"
        case CommandMethod.CANCEL | CommandMethod.CLOSE | CommandMethod.SET_CONFIG_OPTION:
            return False


def _response(
    body: CommandIn, *, result: dict[str, bool] | None = None, error: RpcError | None = None
) -> CommandOut:
    """Return a response; it has an id if the request has one."""
    response: CommandOut = {"jsonrpc": "2.0"}
    if error is None:
        response["result"] = result or {}
    else:
        response["error"] = error
    if body.id is not None:
        response["id"] = body.id
    return response
