"""Record the tokens and cost that agents report in the fact `usage` of a run, and add them up for a task."""

from collections.abc import Mapping
from typing import Any  # JSON
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Numeric,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.statements import Prepared
from app.dialogue.agent_reports import Spent
from app.errors import NotFound
from app.models import Run, Task
from app.models.runs.run_facts import USAGE
from app.schemas.runs.run import UsageOut
from app.services.access.principal import Principal
from app.services.access.visibility import VISIBLE_TASK, visibility

# The key of the state under which agents outside our workers report usage, and its names for the keys of the fact.
_REPORTED = "token_usage"
_KINDS = {
    "total_tokens": "total_tokens",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cached_read_tokens": "cache_read_tokens",
    "cached_write_tokens": "cache_write_tokens",
    "thought_tokens": "thought_tokens",
}
# The currency of the costs that are counted; those in others are not.
_CURRENCY = "USD"
_MOST = 2**53
_TOKENS = (USAGE, "total_tokens")
_COST = (USAGE, "cost", "amount")


def _number(path: tuple[str, ...]) -> ColumnElement[Any]:
    value = Run.facts[path]
    return case((func.jsonb_typeof(value) == "number", cast(value.astext, Numeric)))


def reported_usage(state: Mapping[str, Any]) -> ColumnElement[Any] | None:
    """Return the SQL expression for a JSON object, to add to a run's facts: the usage that a client reports in `state`.

    None if it reports none. A report has the totals of the run. Because the budget of the task relies on them, the
    object is empty if one of our workers has claimed the run, or if no total is higher than in the last report.
    """
    reported = state.get(_REPORTED)
    if not isinstance(reported, Mapping):
        return None
    usage = {ours: _count(reported.get(theirs)) for ours, theirs in _KINDS.items()}
    usage["total_tokens"] = max(usage["total_tokens"], usage["input_tokens"] + usage["output_tokens"])
    cost = _dollars(reported.get("cost"))
    tokens = _if_higher(_TOKENS, usage["total_tokens"], usage)
    higher = tokens.op("||")(_if_higher(_COST, cost, {"cost": {"amount": cost, "currency": _CURRENCY}}))
    nothing = literal({}, Run.facts.type)
    noted = func.coalesce(Run.facts[USAGE], nothing)
    counts = and_(Run.attempts == 0, higher != nothing)
    return case((counts, func.jsonb_build_object(USAGE, noted.op("||")(higher))), else_=nothing)


def _if_higher(path: tuple[str, ...], number: float, report: Mapping[str, Any]) -> ColumnElement[Any]:
    type_ = Run.facts.type
    is_higher = func.coalesce(_number(path), 0) < literal(number, Numeric)
    return case((is_higher, literal(report, type_)), else_=literal({}, type_))


def read_usage(fact: object) -> Spent:
    """Return the tokens and US dollars of the fact `usage` of a run; 0 where it has none."""
    usage = fact if isinstance(fact, Mapping) else {}
    return Spent(_count(usage.get("total_tokens")), _dollars(usage.get("cost")))


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MOST else 0


def _dollars(cost: object) -> float:
    if not isinstance(cost, Mapping) or cost.get("currency") != _CURRENCY:
        return 0.0
    amount = cost.get("amount")
    is_number = isinstance(amount, int | float) and not isinstance(amount, bool)
    return float(amount) if is_number and amount is not None and 0 < amount < _MOST else 0.0


_COST_OF_ALL = cast(func.coalesce(func.sum(_number(_COST)), 0), Double).label("cost")
# An agent may report any number in any number of turns.
_TOKENS_OF_ALL = cast(func.least(func.coalesce(func.sum(_number(_TOKENS)), 0), _MOST), BigInteger).label(
    "tokens"
)
_SPENT = Prepared(
    select(_TOKENS_OF_ALL, _COST_OF_ALL).where(Run.task_id == bindparam("task"), Run.id != bindparam("but")),
    Spent,
)


async def spent_by_others(session: AsyncSession, task_id: UUID, run_id: UUID) -> Spent:
    return await _SPENT.one(session, {"task": task_id, "but": run_id})


async def task_usage(session: AsyncSession, caller: Principal, task_id: UUID) -> UsageOut:
    """Return what all runs of a task have cost so far. The caller must see the task."""
    row = await _COST_OF_TASK.first(session, {"task_id": task_id, **visibility(caller)})
    if row is None:
        raise NotFound
    (cost,) = row
    return {"token_cost_usd": cost, "compute_cost_usd": 0.0, "total_cost_usd": cost}


_COST_OF_TASK = Prepared(
    select(_COST_OF_ALL)
    .select_from(Task)
    .outerjoin(Run, Run.task_id == Task.id)
    .where(Task.id == bindparam("task_id"), VISIBLE_TASK)
    .group_by(Task.id)
)
