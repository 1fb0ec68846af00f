"""Names of a run's facts, which only the service writes, and SQL expressions that change them."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, func, literal, or_, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import RunReason
from app.json_types import JsonDict
from app.models.runs.run import Run, held_by, was_held_by

# The time from which a lost worker fails the run instead of repeating it.
AGENT_STARTED: Final = "agent_started_at"
# The time from which no command reaches the agent.
AGENT_ENDED: Final = "agent_ended_at"
# The open question of the agent: the answer or message that it needs to continue.
WAITING_FOR: Final = "waiting_for"
# The number of questions that were not answered in time.
MISSED_QUESTIONS: Final = "missed_questions"
# The decision about a run that its worker did not end.
RECOVERY: Final = "recovery"
USAGE: Final = "usage"
# The usage at the last end of the run, if it was resumed since.
USAGE_BEFORE: Final = "usage_before"
# The numbers of changed files and lines, of the newest changes that the service knows.
CHANGES: Final = "changes"
CI_FOLLOW_UP: Final = "ci_follow_up"
# The files and the work that could not be stored.
NOT_STORED: Final = "not_stored"
LEFT_OUT: Final = "left_out"
# When, how and by whom a run was cancelled.
CANCELLATION: Final = ("cancel_requested_at", "cancel_source", "cancel_requested_by_user_id")

FACTS: Final = frozenset(
    {
        AGENT_STARTED,
        AGENT_ENDED,
        WAITING_FOR,
        MISSED_QUESTIONS,
        RECOVERY,
        USAGE,
        USAGE_BEFORE,
        CHANGES,
        CI_FOLLOW_UP,
        NOT_STORED,
        LEFT_OUT,
        *CANCELLATION,
    }
)

# Keys of the state. Whether the run acts as its person or as the service: a `PrAuthorshipMode`.
AUTHORSHIP: Final = "pr_authorship_mode"
SANDBOX_ENVIRONMENT: Final = "sandbox_environment_id"
# Checks of this run, beside those of its task.
ACCEPTANCE: Final = "acceptance"
# The source of the credentials of the code host, with its values: the token from the run's request, or the linked
# account of its person.
CREDENTIAL_SOURCE: Final = "github_credential_source"
CALLER_TOKEN: Final = "caller_token"  # noqa: S105 - no token, the name of a kind
LINKED_ACCOUNT: Final = "server_integration"

# The SQL expression for the number of workers that a run has lost.
LOSSES: ColumnElement[int] = func.coalesce(Run.facts[(RECOVERY, "losses")].as_integer(), 0)


def with_fact(name: str, value: Any) -> ColumnElement[Any]:
    return Run.facts.op("||")({name: value})


def without_fact(*names: str) -> ColumnElement[Any]:
    facts: ColumnElement[Any] = Run.facts.expression
    for name in names:
        facts = facts.op("-")(name)
    return facts


def with_missed_questions(more: SQLColumnExpression[int]) -> ColumnElement[JsonDict]:
    number = func.coalesce(Run.facts[MISSED_QUESTIONS].as_integer(), 0) + more
    return Run.facts.op("||")(func.jsonb_build_object(MISSED_QUESTIONS, number))


def with_recovery(decision: str, reason: RunReason) -> ColumnElement[Any]:
    """Return the SQL expression for the facts of a run with the decision of its recovery, for people to see."""
    note = literal({"decision": decision, "reason": reason, "at": utcnow().isoformat()}, Run.facts.type)
    losses = func.jsonb_build_object("losses", LOSSES + int(reason is RunReason.WORKER_LOST))
    return Run.facts.op("||")(func.jsonb_build_object(RECOVERY, note.op("||")(losses)))


async def note_fact(
    session: AsyncSession, run_id: UUID, name: str, value: Mapping[str, object], *, owner: str
) -> bool:
    """Store a fact of a run that `owner` holds; USAGE also after a cancel: its costs count. Return whether stored."""
    holders = (held_by, was_held_by) if name == USAGE else (held_by,)
    noted = await session.scalar(
        update(Run)
        .where(or_(*(and_(*holds(run_id, owner)) for holds in holders)))
        .values(facts=with_fact(name, dict(value)))
        .returning(Run.id)
    )
    return noted is not None
