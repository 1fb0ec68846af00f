"""Receive GitHub's webhook deliveries: verify the signature, ignore repetitions, act on a failed check."""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import orjson
import structlog
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.config import Settings
from app.db import release
from app.db.sweeping import delete_batch
from app.enums import CodeHostKind
from app.errors import InvalidInput, MalformedBody, WrongSignature
from app.ids import new_id
from app.json_types import JsonDict
from app.models import GithubDelivery, Integration
from app.schemas.github_webhook import WebhookOut
from app.security.secrets import Cipher, DecryptionError
from app.services.code_hosts.branch_records import BRANCH_PREFIX
from app.services.code_hosts.verdict_reports import OWN_CHECK
from app.services.opened_clients import ServiceClients
from app.services.runs.ci_reports import CiReport, fold_ci
from app.services.runs.follow_ups import follow_up, ignore, require_follow_up_allowance

# GitHub can repeat a delivery for three days.
_REMEMBERED = timedelta(days=7)
_SIGNATURE = "sha256="

Value = TypeVar("Value")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedDelivery:
    """A delivery of GitHub's webhook. Its signature has not been verified yet."""

    delivery_id: str
    event: str
    signature: str = field(repr=False)
    body: bytes = field(repr=False)
    # The integration with the secret that signed it; None: the service's own secret.
    integration_id: int | None


async def receive_github(
    session: AsyncSession, delivery: UnverifiedDelivery, clients: ServiceClients, *, settings: Settings
) -> WebhookOut:
    """Process a delivery of GitHub once, unless a gate refused it. Raises WrongSignature, with the session released."""
    await _require_signature(session, delivery, clients.cipher, settings.github_webhook_secret)
    if not delivery.delivery_id:
        raise InvalidInput("This header is required.", code="required", attr="X-GitHub-Delivery")
    try:
        payload = orjson.loads(delivery.body)
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"JSON parse error - {error}") from None
    report = read_ci_report(delivery.event, payload, delivery.integration_id)
    if report is None:
        return ignore("The event does not tell of a check on a branch of ours.")
    await fold_ci(session, report, events=clients.events)
    if not report.is_failure:
        return ignore("The check has not failed.")
    if delivery.event == "check_run":
        return ignore("The suite or workflow run of this check starts a follow-up run.")
    # Commit, because a follow-up locks runs before their task, and `fold_ci` may have locked the task.
    await release(session)
    await require_follow_up_allowance(session, report, clients.gates)
    if not await _is_new(session, delivery.delivery_id):
        return ignore("This delivery was received before.")
    return await follow_up(session, report, clients)


async def sweep_deliveries(session: AsyncSession) -> int:
    """Delete a batch of stored ids of requests from GitHub's webhook that GitHub can no longer repeat."""
    return await delete_batch(session, GithubDelivery, GithubDelivery.received_at <= utcnow() - _REMEMBERED)


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
    # Every error is answered alike. Without a key, compare with a random one, which no signature matches.
    expected = hmac.new((key or new_id().hex).encode(), delivery.body, hashlib.sha256).hexdigest()
    signature = delivery.signature.removeprefix(_SIGNATURE).encode()
    if not hmac.compare_digest(expected.encode(), signature) or not key:
        await release(session)
        raise WrongSignature


def _decrypt(cipher: Cipher, stored: str | None) -> str | None:
    try:
        return None if stored is None else cipher.decrypt(stored)
    except DecryptionError:
        log.warning("webhook.secret_unreadable")
        return None


async def _is_new(session: AsyncSession, delivery_id: str) -> bool:
    kept = await session.scalar(
        upsert(GithubDelivery)
        .values(delivery_id=delivery_id, received_at=utcnow())
        .on_conflict_do_nothing()
        .returning(GithubDelivery.delivery_id)
    )
    return kept is not None


_EVENTS = ("check_suite", "workflow_run", "check_run")
_LONGEST = 255
_NAME_LENGTH = 100


def read_ci_report(event: str, payload: object, integration_id: int | None = None) -> CiReport | None:
    """Return what a GitHub event says of the checks of a commit on a branch that this service pushed."""
    if event not in _EVENTS or not isinstance(payload, dict):
        return None
    check, repository = _get(payload, event, dict), _get(payload, "repository", dict)
    home = _get(check, "head_repository", dict)
    suite = _get(check, "check_suite", dict)
    # The branch of a check run is in its suite.
    branch = _text(check, "head_branch") or _text(suite, "head_branch")
    name, head_sha = _text(repository, "full_name").lower(), _text(check, "head_sha")
    is_foreign = bool(home) and _text(home, "full_name").lower() != name
    if is_foreign or not name or not head_sha or not branch.startswith(BRANCH_PREFIX):
        return None
    label = " ".join((_text(check, "name") or _text(_get(check, "app", dict), "name") or event).split())
    if label == OWN_CHECK:
        return None
    number, url, app_id = _get(check, "id", int), _text(check, "html_url"), _get(check, "app", dict).get("id")
    # A repeated check run has a new id; a repeated suite or workflow run keeps its id.
    about = f"{_get(suite, 'id', int)}:{label}" if event == "check_run" else number
    # A repeated suite or workflow run may still show the conclusion of the last time.
    is_over = event == "check_run" or payload.get("action") == "completed"
    changed = _text(check, "updated_at") or _text(check, "completed_at") or _text(check, "started_at")
    return CiReport(
        repository=name,
        branch=branch,
        head_sha=head_sha,
        subject=f"{event}:{about}",
        name=label[:_NAME_LENGTH],
        version=(_get(check, "run_attempt", int), number, changed),
        conclusion=_text(check, "conclusion") if is_over else "",
        url=url if url.startswith(("http://", "https://")) else None,
        app_id=str(app_id) if isinstance(app_id, int) else "",
        integration_id=integration_id,
    )


def _get(parent: JsonDict, key: str, kind: type[Value]) -> Value:
    value = parent.get(key)
    return value if isinstance(value, kind) else kind()


def _text(parent: JsonDict, key: str) -> str:
    value = _get(parent, key, str)
    # Neither NUL nor lone surrogates can be stored.
    return value if len(value) <= _LONGEST and value.isprintable() else ""
