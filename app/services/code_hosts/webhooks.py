"""A failed check of one of our branches starts a follow-up run with the task's `ci_prompt`, at most three times.

Deliveries are signed, repeated and out of order, and several checks of one commit fail together: the first failure of a
commit counts, and only while that commit is the latest push of the task. The request comes from the code host, without
a caller: the follow-up run acts as the person of the run that it follows, if that person is still a member.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import orjson
import structlog
from pydantic import SecretStr
from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import release
from app.enums import TERMINAL_STATUSES, CodeHostKind, Environment, RunMode
from app.errors import InvalidInput, MalformedBody, PermissionDenied
from app.ids import new_id
from app.models import CiFailure, GithubDelivery, Integration, PushedBranch, Run, Task
from app.schemas.webhooks import WebhookOut
from app.security import Cipher, DecryptionError
from app.services import usage_gates
from app.services.code_hosts.webhook_events import FailedCheck, read_failed_check
from app.services.enqueueing import enqueue_run_after_commit
from app.services.opened_clients import ServiceClients
from app.services.runs import lifecycle as run_lifecycle
from app.services.runs import options as run_options
from app.services.runs.authority import (
    HOLDINGS,
    Intent,
    authorize,
    frozen_or_current,
    frozen_or_new_snapshot,
    person,
    person_of,
    request_for_run,
)
from app.services.runs.facts import CI_FOLLOW_UP, with_fact
from app.services.usage_gates import UsageGate

MAX_FOLLOW_UPS: Final = 3
# GitHub can repeat a delivery for three days.
_REMEMBERED = timedelta(days=7)
_LONGEST_ID = 100
_SIGNATURE = "sha256="
_DEFAULT_PROMPT = (
    "The check '{name}' failed for commit {sha} of the branch {branch}, which holds your work on this task. Find out "
    "why it fails, correct it, and run what the check runs before you are done."
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedDelivery:
    """A delivery as it was sent, not verified yet."""

    delivery_id: str
    event: str
    signature: str = field(repr=False)
    body: bytes = field(repr=False)
    # The integration with the secret that signed it; None: the service's own secret.
    integration_id: int | None = None


async def receive_github(
    session: AsyncSession,
    delivery: UnverifiedDelivery,
    clients: ServiceClients,
    *,
    secret: SecretStr | None,
) -> WebhookOut:
    """Process a delivery and return the result; a repeated delivery, also a concurrent one, is ignored.

    Raises:
        PermissionDenied: the signature is wrong, or no secret is configured.
        InvalidInput: the delivery has no id.
        MalformedBody: the signed body is not JSON.
        UsageLimitExceeded: the project is over its limit; the delivery is not recorded and may be repeated.

    """
    await _require_signature(session, delivery, clients.cipher, secret)
    if not 0 < len(delivery.delivery_id) <= _LONGEST_ID:
        raise InvalidInput("This header is required.", code="required", attr="X-GitHub-Delivery")
    try:
        payload = orjson.loads(delivery.body)
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"JSON parse error - {error}") from None
    check = read_failed_check(delivery.event, payload)
    if check is None:
        return _ignore("The event does not tell of a failed check on a branch of ours.")
    await _require_allowance(session, check, delivery.integration_id, clients.gates)
    if not await _is_new(session, delivery.delivery_id):
        return _ignore("This delivery was received before.")
    return await _follow_up(session, check, delivery.integration_id, clients)


async def sweep_deliveries(session: AsyncSession) -> int:
    """Remove deliveries that can no longer be repeated; return their number."""
    swept = await session.execute(
        delete(GithubDelivery)
        .where(GithubDelivery.received_at <= utcnow() - _REMEMBERED)
        .returning(GithubDelivery.delivery_id)
    )
    return len(swept.all())


async def _require_signature(
    session: AsyncSession, delivery: UnverifiedDelivery, cipher: Cipher, secret: SecretStr | None
) -> None:
    key = secret.get_secret_value() if secret else None
    if delivery.integration_id is not None:
        stored = await session.scalar(
            select(Integration.encrypted_webhook_secret).where(
                Integration.id == delivery.integration_id, Integration.kind == CodeHostKind.GITHUB
            )
        )
        key = _decrypt(cipher, stored)
    # The same answer for every error. Without a key, compare with a random one, which no signature matches.
    expected = hmac.new((key or new_id().hex).encode(), delivery.body, hashlib.sha256).hexdigest()
    given = delivery.signature.removeprefix(_SIGNATURE).encode()
    if not hmac.compare_digest(expected.encode(), given) or not key:
        raise PermissionDenied("The signature does not fit.")


def _decrypt(cipher: Cipher, stored: str | None) -> str | None:
    try:
        return None if stored is None else cipher.decrypt(stored)
    except DecryptionError:
        log.warning("webhook.secret_unreadable")
        return None


async def _require_allowance(
    session: AsyncSession, check: FailedCheck, integration_id: int | None, gates: Sequence[UsageGate]
) -> None:
    """Check that no usage gate refuses the follow-up run that this failure would start."""
    pushed = await _find_push(session, check, integration_id) if gates else None
    if pushed is None or pushed.head_sha != check.head_sha:
        return
    columns: list[Any] = [Run.project_id, person_of().label("person_id")]
    followed = select(*columns).join(Task, Task.id == Run.task_id).where(Run.id == pushed.run_id)
    rests = (~Task.deleted, ~Task.archived, Task.latest_run_status.in_(TERMINAL_STATUSES))
    row = (await session.execute(followed.where(*rests))).one_or_none()
    if row is None:
        return
    await release(session)
    await usage_gates.require_allowance(gates, project_id=row.project_id, user_id=row.person_id)


async def _is_new(session: AsyncSession, delivery_id: str) -> bool:
    kept = await session.execute(
        upsert(GithubDelivery)
        .values(delivery_id=delivery_id, received_at=utcnow())
        .on_conflict_do_nothing()
        .returning(GithubDelivery.delivery_id)
    )
    return kept.one_or_none() is not None


def _ignore(reason: str) -> WebhookOut:
    return {"status": "ignored", "reason": reason, "run": None}


async def _follow_up(
    session: AsyncSession,
    check: FailedCheck,
    integration_id: int | None,
    clients: ServiceClients,
) -> WebhookOut:
    pushed = await _find_push(session, check, integration_id)
    if pushed is None or pushed.head_sha != check.head_sha:
        return _ignore("No run pushed this commit, or a later one has moved the branch on.")
    # Locked: deliveries about one task are processed one after the other.
    columns: list[Any] = [Task.id, Task.project_id, Task.latest_run_status]
    alive = (Task.id == pushed.task_id, ~Task.deleted, ~Task.archived)
    task = (
        await session.execute(select(*columns).where(*alive).with_for_update(key_share=True))
    ).one_or_none()
    if task is None:
        return _ignore("The task is deleted or put away.")
    # Checked again under the lock: a run may have pushed and ended meanwhile.
    if task.latest_run_status not in TERMINAL_STATUSES or pushed != await _find_push(
        session, check, integration_id
    ):
        return _ignore("A run of the task is under way.")
    return await _decide(session, check, pushed, task, clients)


async def _decide(
    session: AsyncSession,
    check: FailedCheck,
    pushed: Row[Any],
    task: Row[Any],
    clients: ServiceClients,
) -> WebhookOut:
    count = await session.scalar(
        select(func.count())
        .select_from(CiFailure)
        .where(
            CiFailure.task_id == task.id,
            CiFailure.branch == check.branch,
            CiFailure.follow_up_run_id.is_not(None),
        )
    )
    number = (count or 0) + 1
    follow_up = {"number": number, "limit": MAX_FOLLOW_UPS, "check": check.name, "head_sha": check.head_sha}
    if number > MAX_FOLLOW_UPS:
        reason = f"The branch had {MAX_FOLLOW_UPS} follow-up runs already."
        await _note_follow_up(
            session, pushed.run_id, {**follow_up, "number": MAX_FOLLOW_UPS, "refused": reason}
        )
        return _ignore(reason)
    failure = await session.scalar(
        upsert(CiFailure)
        .values(
            id=new_id(),
            task_id=task.id,
            branch=check.branch,
            head_sha=check.head_sha,
            created_at=utcnow(),
        )
        .on_conflict_do_nothing()
        .returning(CiFailure.id)
    )
    if failure is None:
        return _ignore("Another failure of this commit has been acted upon.")
    run_id = await _start(session, check, pushed.run_id, task, follow_up, clients)
    await session.execute(update(CiFailure).where(CiFailure.id == failure).values(follow_up_run_id=run_id))
    log.info("webhook.follow_up", run_id=str(run_id), number=number)
    return {"status": "started", "reason": f"Follow-up run {number} of {MAX_FOLLOW_UPS}.", "run": run_id}


async def _find_push(
    session: AsyncSession, check: FailedCheck, integration_id: int | None
) -> Row[Any] | None:
    """Return the latest push of a branch; for a delivery signed for an integration, only among its branches."""
    columns: list[Any] = [PushedBranch.run_id, PushedBranch.task_id, PushedBranch.head_sha]
    statement = (
        select(*columns)
        .where(PushedBranch.repository == check.repository, PushedBranch.branch == check.branch)
        .order_by(PushedBranch.created_at.desc())
        .limit(1)
    )
    if integration_id is not None:
        statement = statement.where(PushedBranch.integration_id == integration_id)
    row: Row[Any] | None = (await session.execute(statement)).one_or_none()
    return row


async def _start(
    session: AsyncSession,
    check: FailedCheck,
    previous_id: UUID,
    task: Row[Any],
    follow_up: dict[str, Any],
    clients: ServiceClients,
) -> UUID:
    columns = (
        Run.state,
        *HOLDINGS,
        Task.ci_prompt,
        frozen_or_current(Task.ci_prompt).label("asked_ci_prompt"),
    )
    source = select(*columns).join(Task, Task.id == Run.task_id)
    previous = (await session.execute(source.where(Run.id == previous_id))).one()
    authority = await authorize(session, request_for_run(Intent.FOLLOW, person(previous), previous))
    said = previous.asked_ci_prompt if authority.is_personal else previous.ci_prompt
    prompt = said or _DEFAULT_PROMPT.format(name=check.name, sha=check.head_sha, branch=check.branch)
    # Like a request with only these fields (contract 9.2).
    state = run_options.inherited_state(previous.state)
    state.pop("sandbox_environment_id", None)
    state |= {
        "mode": RunMode.BACKGROUND,
        "resume_from_run_id": str(previous_id),
        "pending_user_message": prompt,
    }
    if isinstance(previous.state.get("provider"), str):
        state["provider"] = previous.state["provider"]
    state |= authority.state
    new = run_lifecycle.NewRun(
        task_id=task.id,
        project_id=task.project_id,
        environment=Environment.CLOUD,
        state=state,
        facts={CI_FOLLOW_UP: follow_up},
        sandbox_environment_id=authority.environment_id,
        asked_by_id=authority.asker_id,
        asked_task=frozen_or_new_snapshot(previous_id, task.id) if authority.is_personal else None,
    )
    run_id = await run_lifecycle.open_run(session, new, dispatch=True, events=clients.events)
    enqueue_run_after_commit(session, clients.queue, run_id)
    return run_id


async def _note_follow_up(session: AsyncSession, run_id: UUID, follow_up: dict[str, Any]) -> None:
    await session.execute(
        update(Run)
        .where(Run.id == run_id)
        .values(facts=with_fact(CI_FOLLOW_UP, follow_up), updated_at=utcnow())
    )
