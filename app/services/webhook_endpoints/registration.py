"""Create, show, change and delete webhook endpoints. Only the creator of an endpoint can see it."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.http.host_names import is_address
from app.clock import utcnow
from app.db.statements import count_changed, row_of, rows_of
from app.enums import DeliveryStatus, DisabledReason, PayloadKind, Scope
from app.errors import InvalidInput, NotFound, unknown_choice
from app.ids import new_id
from app.json_types import JsonDict
from app.models import Project, User, WebhookEndpoint, WebhookEndpointDelivery
from app.models.base import constant
from app.schemas.base import Page
from app.schemas.webhook_endpoints import (
    EndpointIn,
    EndpointOut,
    EndpointUpdateIn,
    NewEndpointOut,
    RotatedOut,
    RotateIn,
    TaskFilterIn,
)
from app.security.addresses import AddressPolicy, split_url
from app.security.secrets import Cipher
from app.services.access.principal import Principal
from app.services.access.scopes import has_scope, require_scope
from app.services.access.visibility import active_member, own_endpoint, own_endpoints
from app.services.events.event_types import VALID_SELECTORS
from app.services.views.newest_page import newest_page
from app.services.views.users import CREATOR_COLUMNS, Creator, user_basic
from app.services.webhook_endpoints.signing import HINT_LENGTH, new_secret, still_valid

# Of a project, and of one member in it.
_MOST_ENDPOINTS = 20
_MOST_OF_A_MEMBER = 5
# Including the current one: with more, the signature header would be too long for servers.
_MOST_SECRETS = 10

# The longest name of a host in a URL.
_LONGEST_NAME = 253
_SECURE_PORT = 443
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
# The last label begins with a letter: no form of an IP address counts as a name.
_NAME = re.compile(rf"(?:{_LABEL}\.)*[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?", re.ASCII)
# Last labels of names that no public server resolves: RFC 6761, RFC 6762 appendix G, and `internal` by ICANN.
_PRIVATE_LABELS = frozenset({"corp", "home", "internal", "intranet", "lan", "local", "localhost", "private"})


class _Endpoint(NamedTuple):
    id: UUID
    url: str
    event_types: list[str]
    description: str
    payload: PayloadKind
    task_filter: JsonDict | None
    enabled: bool
    disabled_reason: DisabledReason | None
    created_at: datetime
    last_success_at: datetime | None
    last_failure_at: datetime | None
    consecutive_failures: int
    secret_hint: str
    creator: Creator


_SHOWN = [getattr(WebhookEndpoint, name) for name in _Endpoint._fields if name != "creator"]
_PLAIN = ("url", "description", "payload")
# The columns of an endpoint that has never failed.
FORGIVEN: JsonDict = {
    "consecutive_failures": 0,
    "failing_since": None,
    "has_exhausted": False,
    "blocked_in_a_row": 0,
    "probe_at": None,
}


async def create_endpoint(
    session: AsyncSession, caller: Principal, body: EndpointIn, *, policy: AddressPolicy, cipher: Cipher
) -> NewEndpointOut:
    """Store a new endpoint of the caller; return it with its secret, which no later call returns."""
    if body.payload is PayloadKind.FULL:
        require_scope(caller, Scope.TASK_READ)
    check_url(body.url, policy)
    event_types = _event_types(body.event_types)
    await _require_room(session, caller)
    endpoint_id, secret, now = new_id(), new_secret(), utcnow()
    await session.execute(
        insert(WebhookEndpoint).values(
            id=endpoint_id,
            project_id=caller.project.id,
            created_by_id=caller.user_id,
            **{name: getattr(body, name) for name in _PLAIN},
            event_types=event_types,
            task_filter=_task_filter(body.task_filter),
            enabled=body.enabled,
            disabled_reason=None if body.enabled else DisabledReason.USER,
            encrypted_secret=cipher.encrypt(secret),
            secret_hint=secret[-HINT_LENGTH:],
            created_at=now,
            updated_at=now,
        )
    )
    return {**await retrieve_endpoint(session, caller, endpoint_id), "secret": secret}


async def list_endpoints(
    session: AsyncSession, caller: Principal, page: Page
) -> tuple[int, list[EndpointOut]]:
    own = _select().where(own_endpoints(caller))
    count, rows = await newest_page(session, own, WebhookEndpoint, page, _Endpoint)
    return count, [_out(row) for row in rows]


async def retrieve_endpoint(session: AsyncSession, caller: Principal, endpoint_id: UUID) -> EndpointOut:
    row = await row_of(session, _select().where(own_endpoint(caller, endpoint_id)), _Endpoint)
    if row is None:
        raise NotFound
    return _out(row)


async def update_endpoint(
    session: AsyncSession,
    caller: Principal,
    endpoint_id: UUID,
    body: EndpointUpdateIn,
    *,
    policy: AddressPolicy,
) -> EndpointOut:
    """Change an endpoint, also for pending deliveries; disabling cancels them, enabling forgets failures."""
    if not has_scope(caller, Scope.TASK_READ) and await _directs_content(session, caller, endpoint_id, body):
        require_scope(caller, Scope.TASK_READ)
    if body.given("url"):
        check_url(body.url, policy)
    values: dict[str, object] = {name: getattr(body, name) for name in _PLAIN if body.given(name)}
    if body.given("event_types"):
        values["event_types"] = _event_types(body.event_types)
    if body.given("task_filter"):
        values["task_filter"] = _task_filter(body.task_filter)
    if body.given("enabled"):
        # The reason for which an endpoint was disabled first stays.
        reason = func.coalesce(WebhookEndpoint.disabled_reason, DisabledReason.USER)
        values |= _enabled_values() if body.enabled else {"enabled": False, "disabled_reason": reason}
    await _write(session, caller, endpoint_id, values)
    if body.given("enabled") and not body.enabled:
        await cancel_pending(session, [endpoint_id])
    return await retrieve_endpoint(session, caller, endpoint_id)


async def enable_endpoint(session: AsyncSession, caller: Principal, endpoint_id: UUID) -> EndpointOut:
    """Enable an endpoint and forget its failures. What it missed is sent only by a recovery. Idempotent."""
    await _write(session, caller, endpoint_id, _enabled_values())
    return await retrieve_endpoint(session, caller, endpoint_id)


async def delete_endpoint(session: AsyncSession, caller: Principal, endpoint_id: UUID) -> None:
    """Delete a webhook endpoint of the caller with its secrets, its deliveries and the log of their attempts."""
    if not await count_changed(session, delete(WebhookEndpoint).where(own_endpoint(caller, endpoint_id))):
        raise NotFound


async def rotate_secret(
    session: AsyncSession, caller: Principal, endpoint_id: UUID, body: RotateIn, *, cipher: Cipher
) -> RotatedOut:
    """Replace the secret of an endpoint, and return it; the old one signs too for the time in `body`."""
    locked = (
        select(WebhookEndpoint.encrypted_secret, WebhookEndpoint.encrypted_old_secrets)
        .where(own_endpoint(caller, endpoint_id))
        .with_for_update(key_share=True)
    )
    row = await row_of(session, locked)
    if row is None:
        raise NotFound
    current, old_ones = row
    now = utcnow()
    secret, until = new_secret(), now + timedelta(seconds=body.expire_old_after_seconds)
    old = still_valid(old_ones, now)
    if body.expire_old_after_seconds:
        old[until.isoformat()] = current
    if len(old) >= _MOST_SECRETS:
        raise InvalidInput(
            f"At most {_MOST_SECRETS} secrets sign at a time.", attr="expire_old_after_seconds"
        )
    await session.execute(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.id == endpoint_id)
        .values(
            encrypted_secret=cipher.encrypt(secret),
            encrypted_old_secrets=old,
            secret_hint=secret[-HINT_LENGTH:],
            updated_at=now,
        )
    )
    return {"secret": secret, "old_secret_valid_until": until}


async def cancel_pending(session: AsyncSession, endpoint_ids: Sequence[UUID]) -> None:
    await session.execute(
        update(WebhookEndpointDelivery)
        .where(
            WebhookEndpointDelivery.endpoint_id.in_(endpoint_ids),
            WebhookEndpointDelivery.status == constant(DeliveryStatus.PENDING),
        )
        .values(status=DeliveryStatus.CANCELLED, leased_until=None)
    )


async def _write(
    session: AsyncSession, caller: Principal, endpoint_id: UUID, values: dict[str, object]
) -> None:
    changed = update(WebhookEndpoint).where(own_endpoint(caller, endpoint_id))
    if not await count_changed(session, changed.values({**values, "updated_at": utcnow()})):
        raise NotFound


def _enabled_values() -> dict[str, Any]:
    return {"enabled": True, "disabled_reason": None, **FORGIVEN}


async def _directs_content(
    session: AsyncSession, caller: Principal, endpoint_id: UUID, body: EndpointUpdateIn
) -> bool:
    # Locked: until the commit, the kind of payload stays, and no relay stores a body.
    if not any(body.given(name) for name in ("url", "payload", "event_types", "task_filter")):
        return False
    locked = select(WebhookEndpoint.payload).where(own_endpoint(caller, endpoint_id)).with_for_update()
    payload = await session.scalar(locked)
    if payload is None:
        return False
    if PayloadKind.FULL in {payload, body.payload}:
        return True
    # Stored bodies are sent to the new URL, and may be from a time when the endpoint was full.
    stored = select(WebhookEndpointDelivery.id).where(
        WebhookEndpointDelivery.endpoint_id == endpoint_id, WebhookEndpointDelivery.body.contains('"task":{')
    )
    return body.given("url") and await session.scalar(stored.limit(1)) is not None


async def _require_room(session: AsyncSession, caller: Principal) -> None:
    project_id = caller.project.id
    # Creations in a project wait for each other, so that the limits hold.
    await session.execute(select(Project.id).where(Project.id == project_id).with_for_update(key_share=True))
    # Endpoints of former members do not count: no member can see or delete them.
    counts = select(func.count(), func.count().filter(WebhookEndpoint.created_by_id == caller.user_id)).where(
        WebhookEndpoint.project_id == project_id, active_member(WebhookEndpoint.created_by_id, project_id)
    )
    ((of_all, own),) = await rows_of(session, counts)
    if own >= _MOST_OF_A_MEMBER:
        raise InvalidInput(
            f"You have {own} webhook endpoints in this project; a member has at most {_MOST_OF_A_MEMBER}.",
            code="max_length",
        )
    if of_all >= _MOST_ENDPOINTS:
        raise InvalidInput(
            f"The members of this project have {of_all} webhook endpoints together, the most that a project can have.",
            code="max_length",
        )


def _event_types(texts: Sequence[str]) -> list[str]:
    for index, text in enumerate(texts):
        if text not in VALID_SELECTORS:
            raise unknown_choice(text, VALID_SELECTORS, attr=f"event_types__{index}")
    return list(dict.fromkeys(texts))


def _task_filter(value: TaskFilterIn | None) -> JsonDict | None:
    return None if value is None else value.model_dump(mode="json", exclude_none=True)


def _select() -> Select[Any]:
    return select(*_SHOWN, *CREATOR_COLUMNS).join(User, User.id == WebhookEndpoint.created_by_id)


def _out(row: _Endpoint) -> EndpointOut:
    shown = row._asdict()
    shown["created_by"] = user_basic(shown.pop("creator"))
    return cast("EndpointOut", shown)


def check_url(url: str, policy: AddressPolicy) -> None:
    """Refuse a URL other than HTTPS on 443 to a public name.

    Addresses must be in a network that the operator opened, and private names need some such network; both may use HTTP
    and other ports.
    """
    try:
        parts = split_url(url)
    except ValueError as error:
        raise _refusal(str(error)) from None
    if "#" in url:
        raise _refusal("The URL may have no fragment.")
    assert parts.hostname is not None
    is_private = _check_host(parts.hostname, policy)
    if not is_private and (parts.scheme != "https" or parts.port not in {None, _SECURE_PORT}):
        raise _refusal("A URL with a public name must use https on port 443.")


def _check_host(host: str, policy: AddressPolicy) -> bool:
    if not is_address(host):
        return _check_name(host, policy)
    if "%" in host or not policy.is_open(host):
        raise _refusal("The URL must name a host, or an address in a network that the operator opened.")
    return True


def _check_name(host: str, policy: AddressPolicy) -> bool:
    if len(host) > _LONGEST_NAME or not _NAME.fullmatch(host):
        raise _refusal("Enter a valid host name.")
    is_private = "." not in host or host.rpartition(".")[2] in _PRIVATE_LABELS or host.endswith(".home.arpa")
    if is_private and not policy.opened:
        raise _refusal("The URL must name a host of the Internet.")
    return is_private


def _refusal(text: str) -> InvalidInput:
    return InvalidInput(text, attr="url")
